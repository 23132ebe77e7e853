# Rain1400 (DDN-Data): 12,600 training pairs, 1,400 test pairs, 14 of each background.
# Prepared by `restorebox prepare-data rain1400`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/rain1400'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
