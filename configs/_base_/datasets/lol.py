# LOL, version 1: 485 training pairs, 15 test pairs of low light.
# Prepared by `restorebox prepare-data lol`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/lol'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
