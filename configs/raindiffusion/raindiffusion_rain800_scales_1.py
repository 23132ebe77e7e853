# Table 5: full size alone.
_base_ = 'raindiffusion_rain800.py'
model = dict(denoiser=dict(backbone=dict(scales=(1,))))
