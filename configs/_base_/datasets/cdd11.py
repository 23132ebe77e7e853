# CDD-11: 13,013 training pairs of 11 single and composed degradations, and a test set of each.
# Prepared by `restorebox prepare-data cdd11`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(type='PairedPictures', data_root='data/cdd11')
tested = dict(**root, test_mode=True, pipeline=[dict(type='LoadPictures'), dict(type='Pack')])
kinds = ['low', 'haze', 'rain', 'snow', 'low_haze', 'low_rain', 'low_snow', 'haze_rain', 'haze_snow']
kinds += ['low_haze_rain', 'low_haze_snow']
sets = dict((kind, dict(**tested, split='test_' + kind)) for kind in kinds)
train_dataloader = dict(dataset=root)
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatPictures', datasets=sets))
test_dataloader = val_dataloader
