# Rain13K: 13,712 training pairs, and five test sets, whose mean over the sets is reported.
# Prepared by `restorebox prepare-data rain13k`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(type='PairedPictures', data_root='data/rain13k')
tested = dict(**root, test_mode=True, pipeline=[dict(type='LoadPictures'), dict(type='Pack')])
names = ('rain100h', 'rain100l', 'test100', 'test1200', 'test2800')
sets = dict((name, dict(**tested, split='test_' + name)) for name in names)
train_dataloader = dict(dataset=root)
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatPictures', datasets=sets))
test_dataloader = val_dataloader
