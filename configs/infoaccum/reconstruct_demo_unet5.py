# Table III at laptop size: UNet-5.
_base_ = 'reconstruct_demo_unet8.py'
model = dict(generator=dict(backbone=dict(levels=5)))
