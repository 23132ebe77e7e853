# Table II, OutdoorRain-8-2, split by background: the honest number: + InfoAccum-15.
_base_ = 'outdoor_rain_8_2_by_background_unet5_lsgan.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15)))))
