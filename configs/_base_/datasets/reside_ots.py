# RESIDE outdoor: 72,135 training pairs of OTS, 500 test pairs of SOTS outdoor.
# Prepared by `restorebox prepare-data reside_ots`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/reside_ots'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
