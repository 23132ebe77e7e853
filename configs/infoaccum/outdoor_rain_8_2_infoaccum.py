# Table II, OutdoorRain-8-2, random split (rain and veil): + InfoAccum-15.
_base_ = 'outdoor_rain_8_2_unet5_lsgan.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15)))))
