# diffusion_demo with the light U-Net at its full width, 3.1 M weights. Larger crops, one by one: more of a picture
# tells veil from scene better than more pictures. Twice as many steps of noise, as in SR3: fewer leave something of the
# picture, and where there is rain to be learnt and not noise that is no help.
_base_ = 'diffusion_demo.py'
batch, crop = 1, 96
max_samples = 4_000 * batch  # steps x batch
model = dict(
    denoiser=dict(backbone=dict(base_width=32)),
    prediction='preconditioned',
    timesteps=2000,
    sampling=dict(window=crop, window_stride=64),
)
load, pack = dict(type='LoadPictures'), dict(type='Pack', roles=('lq', 'gt'))
scene, window = dict(type='RandomWindow', size=256), dict(type='RandomWindow', size=crop)
train_dataloader = dict(
    batch_size=batch,
    dataset=dict(pipeline=[load, scene, dict(type='Flip', p=0.5), _base_.rain, window, pack]),
)
# fused, else the optimiser takes a twelfth of a step on a CPU
optim_wrapper = dict(type='AutocastOptimWrapper', emulate=False, optimizer=dict(fused=True))
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=100 * batch),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=100 * batch, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
