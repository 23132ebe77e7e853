# three_tasks.py with motion blur and low light, as in AdaIR: 162,646 crops of 128 an epoch; noise tested at sigma 25.
# Prepared by `restorebox prepare-data` for reside_ots, rain100l, wed_bsd400, gopro and lol; see docs/protocols.md.
_base_ = 'three_tasks.py'
blur, dark = dict(data_root='data/gopro'), dict(data_root='data/lol')
more = dict(blur=dict(**_base_.pairs, **blur), low_light=dict(**_base_.pairs, **dark))
train_dataloader = dict(dataset=dict(datasets=more, epochs=dict(blur=5, low_light=20)))
test_sets = dict(
    haze=_base_.test_sets['haze'],
    rain=_base_.test_sets['rain'],
    sigma25=_base_.test_sets['sigma25'],
    blur=dict(**_base_.whole, **blur),
    low_light=dict(**_base_.whole, **dark),
)
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatPictures', datasets=test_sets))
test_dataloader = val_dataloader
