# Diffusion conditioned on J0 instead of stage 2 at laptop size; it starts from the last checkpoint of
# heavy_rain_demo_residue.py. Network, schedule of noise and sampling as in diffusion_demo_light.py.
_base_ = [
    '../_base_/models/diffusion.py',
    '../_base_/datasets/clean_folder_heavy_rain_demo.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
max_samples = 1_000 * _base_.batch  # steps x batch
warm_up = max_samples // 20
model = dict(
    type='PhysicsDiffusion',
    physics=dict(
        backbone=dict(type='PhysicsEstimator', guide='residue', base_width=8),
        head=dict(type='PhysicsHead', t_min=0.01, eps=1e-3),
        channels_last=True,
    ),
    denoiser=dict(backbone=dict(base_width=16, multipliers=(1, 2, 2, 4), blocks=1, attention=(4,))),
    prediction='preconditioned',
    timesteps=2000,
    sampling=dict(
        steps=5, spacing='trailing', clip_x0=True, mode='overlap', window=192, window_stride=128, window_memory=512
    ),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
adam = dict(lr=1e-3, betas=(0.9, 0.99))
clip = dict(max_norm=1.0, error_if_nonfinite=True)
optim_wrapper = dict(type='AutocastOptimWrapper', emulate=False, optimizer=adam, clip_grad=clip)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up),
    dict(type='CosineAnnealingLR', begin=warm_up, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
