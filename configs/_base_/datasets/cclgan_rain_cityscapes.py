# CCLGAN's subset of RainCityscapes: 1,400 rainy training images, 175 test pairs.
# Prepared by `restorebox prepare-data cclgan_rain_cityscapes`; docs/datasets.md says more.
_base_ = 'unpaired_ab.py'
root = dict(dataset=dict(data_root='data/cclgan_rain_cityscapes'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
