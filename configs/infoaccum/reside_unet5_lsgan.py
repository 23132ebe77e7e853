# Table II, RESIDE, ITS to SOTS indoor (dehazing): UNet-5 + LSGAN.
_base_ = 'reside_lsgan.py'
model = dict(generator=dict(backbone=dict(levels=5)))
