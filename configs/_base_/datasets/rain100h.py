# Rain100H: 1,254 training pairs without the test backgrounds, 100 test pairs of heavy rain.
# Prepared by `restorebox prepare-data rain100h`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/rain100h'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
