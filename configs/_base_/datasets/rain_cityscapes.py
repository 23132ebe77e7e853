# RainCityscapes: 9,432 training pairs, 1,188 test pairs of rain and fog.
# Prepared by `restorebox prepare-data rain_cityscapes`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/rain_cityscapes'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
