# Rain200H: 1,800 training pairs, 200 test pairs of heavy rain.
# Prepared by `restorebox prepare-data rain200h`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/rain200h'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
