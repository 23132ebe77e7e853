# Table III at laptop size: UNet-5 + InfoAccum, of 5 layers here.
_base_ = 'reconstruct_demo_unet5.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=5)))))
