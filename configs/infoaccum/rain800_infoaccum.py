# Table II, Rain800 (deraining): + InfoAccum-15.
_base_ = 'rain800_unet5_lsgan.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15)))))
