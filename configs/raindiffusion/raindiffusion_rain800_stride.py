# Control: sizes made by leaving out pixels, which keeps the variance of the noise.
_base_ = 'raindiffusion_rain800.py'
model = dict(denoiser=dict(backbone=dict(down_mode='stride')))
