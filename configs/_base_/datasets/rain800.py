# Rain800: 700 training pairs, 100 test pairs.
# Prepared by `restorebox prepare-data rain800`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/rain800'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
