# Table III: UNet-5 + InfoAccum-15.
_base_ = 'reconstruct_unet5.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15)))))
