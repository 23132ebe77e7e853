# Table 5: full and quarter size.
_base_ = 'raindiffusion_rain800.py'
model = dict(denoiser=dict(backbone=dict(scales=(1, 4))))
