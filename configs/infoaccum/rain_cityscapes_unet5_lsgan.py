# Table II, RainCityscapes (rain and fog): UNet-5 + LSGAN.
_base_ = 'rain_cityscapes_lsgan.py'
model = dict(generator=dict(backbone=dict(levels=5)))
