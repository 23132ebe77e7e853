# Table II, Rain800 (deraining): UNet-5 + LSGAN.
_base_ = 'rain800_lsgan.py'
model = dict(generator=dict(backbone=dict(levels=5)))
