# SIDD-Small: 160 training pairs at full size, 1,280 validation blocks of 256x256 for testing.
# Prepared by `restorebox prepare-data sidd_small`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/sidd_small'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
