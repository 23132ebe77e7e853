# Rain100L: 200 training pairs, 100 test pairs of light rain.
# Prepared by `restorebox prepare-data rain100l`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/rain100l'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
