# diffusion_demo with the light U-Net at its full width, 3.1 M weights, in bfloat16. It estimates what is to be added to
# the degraded picture.
_base_ = 'diffusion_demo.py'
max_samples = 2_600 * 4  # steps x batch
model = dict(denoiser=dict(backbone=dict(base_width=32)), prediction='residual')
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
optim_wrapper = dict(type='AutocastOptimWrapper')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=100 * 4),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=100 * 4, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
