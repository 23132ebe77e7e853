# Rain200L: 1,800 training pairs, 200 test pairs of light rain.
# Prepared by `restorebox prepare-data rain200l`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/rain200l'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
