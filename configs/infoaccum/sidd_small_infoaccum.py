# Table II, SIDD-Small (denoising): + InfoAccum-15.
_base_ = 'sidd_small_unet5_lsgan.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15)))))
