# WED and BSD400: 5,144 clean training images with noise of sigma 15, 25 or 50; CBSD68 with each of them.
# Prepared by `restorebox prepare-data wed_bsd400`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
clean = dict(type='PairedPictures', data_root='data/wed_bsd400', lq=None)
load, rounded, pack = dict(type='LoadPictures'), dict(type='RoundPicture'), dict(type='Pack', roles=('lq', 'gt'))
cut = [load, dict(type='RandomWindow', size=128), dict(type='Flip')]
cut += [dict(type='Flip', direction='vertical'), dict(type='Rotate90')]
levels = [dict(type='GaussianNoise', sigma=(s, s)) for s in (15, 25, 50)]
noise = dict(type='Degrade', recipe=dict(type='OneOf', recipes=levels))
tested = dict(**clean, split='test', test_mode=True)
sets = dict(
    (f'sigma{level["sigma"][0]}', dict(**tested, pipeline=[load, dict(type='Degrade', recipe=level), rounded, pack]))
    for level in levels
)
train_dataloader = dict(dataset=dict(**clean, pipeline=[*cut, noise, rounded, pack]))
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatPictures', datasets=sets))
test_dataloader = val_dataloader
