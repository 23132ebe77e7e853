_base_ = 'unet5_paired.py'
model = dict(generator=dict(backbone=dict(levels=8)))
