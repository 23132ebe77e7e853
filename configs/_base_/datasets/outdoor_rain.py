# Outdoor-Rain: 8,250 training pairs, 750 test pairs (Test 1) of rain and veil.
# Prepared by `restorebox prepare-data outdoor_rain`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/outdoor_rain'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
