# Snow100K: 50,000 training pairs, and three test sets by the size of the flakes.
# Prepared by `restorebox prepare-data snow100k`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(type='PairedPictures', data_root='data/snow100k')
tested = dict(**root, test_mode=True, pipeline=[dict(type='LoadPictures'), dict(type='Pack')])
sets = dict((name, dict(**tested, split='test_' + name)) for name in ('s', 'm', 'l'))
train_dataloader = dict(dataset=root)
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatPictures', datasets=sets))
test_dataloader = val_dataloader
