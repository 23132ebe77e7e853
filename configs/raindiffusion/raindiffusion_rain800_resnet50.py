# Table 4: ResNet-50 as the inner estimator.
_base_ = 'raindiffusion_rain800.py'
model = dict(denoiser=dict(backbone=dict(inner=dict(_delete_=True, type='ResNetEstimator'))))
