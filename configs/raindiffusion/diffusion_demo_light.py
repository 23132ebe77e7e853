# diffusion_demo with the light U-Net at its full width, 3.1 M weights. It estimates what is to be added to the degraded
# picture. Twice as many steps of noise, as in SR3: more of them leave nothing of the picture, where there is rain to be
# learnt and not noise.
_base_ = 'diffusion_demo.py'
batch = 2
max_samples = 1_750 * batch  # steps x batch
model = dict(denoiser=dict(backbone=dict(base_width=32)), prediction='residual', timesteps=2000)
train_dataloader = dict(batch_size=batch)
optim_wrapper = dict(optimizer=dict(fused=True))  # else it takes a twelfth of a step on a CPU
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=100 * batch),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=100 * batch, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
