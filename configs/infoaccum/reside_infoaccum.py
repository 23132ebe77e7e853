# Table II, RESIDE, ITS to SOTS indoor (dehazing): + InfoAccum-15.
_base_ = 'reside_unet5_lsgan.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15)))))
