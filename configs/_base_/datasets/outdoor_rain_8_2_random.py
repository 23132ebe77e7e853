# OutdoorRain-8-2, random split of all renders: 7,200 training pairs, 1,800 test pairs.
# Prepared by `restorebox prepare-data outdoor_rain_8_2_random`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/outdoor_rain_8_2_random'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
