# Table II, SIDD-Small (denoising): UNet-5 + LSGAN.
_base_ = 'sidd_small_lsgan.py'
model = dict(generator=dict(backbone=dict(levels=5)))
