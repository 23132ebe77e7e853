# Table II, Rain1200 (deraining): UNet-5 + LSGAN.
_base_ = 'rain1200_lsgan.py'
model = dict(generator=dict(backbone=dict(levels=5)))
