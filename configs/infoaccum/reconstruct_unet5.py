# Table III: UNet-5.
_base_ = 'reconstruct_unet8.py'
model = dict(generator=dict(backbone=dict(levels=5)))
