# GoPro: 2,103 training pairs, 1,111 test pairs of motion blur.
# Prepared by `restorebox prepare-data gopro`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/gopro'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
