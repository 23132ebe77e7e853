# Table II, RainCityscapes (rain and fog): + InfoAccum-15.
_base_ = 'rain_cityscapes_unet5_lsgan.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15)))))
