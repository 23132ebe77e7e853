# OutdoorRain-8-2 at random: 7,200 training pairs, 1,800 test pairs, drawn from all renders.
# Prepared by `restorebox prepare-data outdoor_rain_8_2_random`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/outdoor_rain_8_2_random'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
