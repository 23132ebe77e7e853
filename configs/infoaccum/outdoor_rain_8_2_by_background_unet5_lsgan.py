# Table II, OutdoorRain-8-2, split by background: the honest number: UNet-5 + LSGAN.
_base_ = 'outdoor_rain_8_2_by_background_lsgan.py'
model = dict(generator=dict(backbone=dict(levels=5)))
