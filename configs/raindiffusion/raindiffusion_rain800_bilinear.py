# Control: sizes made by bilinear interpolation; at half size the same as averages.
_base_ = 'raindiffusion_rain800.py'
model = dict(denoiser=dict(backbone=dict(down_mode='bilinear')))
