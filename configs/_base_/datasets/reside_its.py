# RESIDE: 13,990 training pairs of ITS, 500 test pairs of SOTS indoor.
# Prepared by `restorebox prepare-data reside_its`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/reside_its'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
