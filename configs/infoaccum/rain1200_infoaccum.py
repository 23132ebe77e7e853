# Table II, Rain1200 (deraining): + InfoAccum-15.
_base_ = 'rain1200_unet5_lsgan.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15)))))
