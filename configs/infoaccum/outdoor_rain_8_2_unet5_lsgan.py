# Table II, OutdoorRain-8-2, random split (rain and veil): UNet-5 + LSGAN.
_base_ = 'outdoor_rain_8_2_lsgan.py'
model = dict(generator=dict(backbone=dict(levels=5)))
