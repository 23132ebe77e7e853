# OutdoorRain-8-2 by background: 7,200 training pairs, 1,800 test pairs with other backgrounds.
# Prepared by `restorebox prepare-data outdoor_rain_8_2_by_background`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/outdoor_rain_8_2_by_background'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
