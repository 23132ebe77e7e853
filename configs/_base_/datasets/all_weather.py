# All-Weather: 18,069 training pairs of TransWeather; tests on snow, rain with veil, and drops.
# Prepared by `restorebox prepare-data all_weather`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(type='PairedPictures', data_root='data/all_weather')
tested = dict(**root, test_mode=True, pipeline=[dict(type='LoadPictures'), dict(type='Pack')])
sets = dict((name, dict(**tested, split='test_' + name)) for name in ('snow', 'rain', 'drops'))
train_dataloader = dict(dataset=root)
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatPictures', datasets=sets))
test_dataloader = val_dataloader
