# diffusion_demo with the light U-Net at its full width, 3.1 M parameters. Larger crops with batch size 1: larger crops
# help to separate veil and scene more than a larger batch. 2,000 diffusion steps, as in SR3: with 1,000 some signal
# remains at the last step, which does not help to learn rain.
_base_ = [
    '../_base_/models/diffusion.py',
    '../_base_/datasets/clean_folder_heavy_rain.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
batch, crop = 1, 96
max_samples = 4_000 * batch  # steps x batch
warm_up = 100 * batch
model = dict(
    denoiser=dict(backbone=dict(base_width=32, multipliers=(1, 2, 2, 4), blocks=1, attention=(4,))),
    prediction='preconditioned',
    timesteps=2000,
    sampling=dict(
        steps=5, spacing='trailing', clip_x0=True, mode='overlap', window=crop, window_stride=64, window_memory=512
    ),
)
load, pack, flip = dict(type='LoadPictures'), dict(type='Pack', roles=('lq', 'gt')), dict(type='Flip', p=0.5)
scene, window = dict(type='RandomWindow', size=256), dict(type='RandomWindow', size=crop)
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=[load, scene, flip, _base_.rain, window, pack]))
centre = dict(type='CentreWindow', size=128)  # validation during training only; tests use whole images
val_dataloader = dict(dataset=dict(pipeline=[load, _base_.rain, centre, pack]))
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
# fused: otherwise the optimiser takes 1/12 of the step time on a CPU
adam = dict(lr=1e-3, betas=(0.9, 0.99), fused=True)
optim_wrapper = dict(type='AutocastOptimWrapper', emulate=False, optimizer=adam)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up),
    dict(type='CosineAnnealingLR', begin=warm_up, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
