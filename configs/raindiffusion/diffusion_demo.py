# A paired diffusion model at laptop size: the light U-Net at half its width, heavy rain synthesised on your clean
# images, data/clean/{train,test}/gt. It predicts the clean image instead of the noise, which is better after a short
# training.
_base_ = [
    '../_base_/models/diffusion.py',
    '../_base_/datasets/clean_folder_heavy_rain.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
batch, crop = 4, 64
max_samples = 6_000 * batch  # steps x batch
narrow = dict(base_width=16, multipliers=(1, 2, 2, 4), blocks=1, attention=(4,))
model = dict(
    denoiser=dict(backbone=narrow),
    prediction='x0',
    # more steps are worse: later steps keep the errors of early estimates
    sampling=dict(
        steps=5, spacing='trailing', clip_x0=True, mode='overlap', window=crop, window_stride=32, window_memory=512
    ),
)
load, pack = dict(type='LoadPictures'), dict(type='Pack', roles=('lq', 'gt'))
# rain is rendered on a larger crop, since the veil varies over the whole image
scene, window = dict(type='RandomWindow', size=192), dict(type='RandomWindow', size=crop)
train_dataloader = dict(
    batch_size=batch,
    num_workers=1,
    dataset=dict(pipeline=[load, scene, dict(type='Flip', p=0.5), _base_.rain, window, pack]),
)
centre = dict(type='CentreWindow', size=128)  # validation during training only; tests use whole images
val_dataloader = dict(dataset=dict(pipeline=[load, _base_.rain, centre, pack]))
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
optim_wrapper = dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.99)))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=100 * batch),
    dict(type='CosineAnnealingLR', begin=100 * batch, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
