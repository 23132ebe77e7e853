# Table III, reconstruction: Rain800's clean images as input and target, mean squared error, no discriminator.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/reconstruction.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
epoch = 700
max_samples = 200 * epoch
half = max_samples // 2
model = dict(generator=dict(backbone=dict(levels=8)), losses=dict(_delete_=True, mse=dict(type='MSELoss')))
train_cfg = dict(max_samples=max_samples, val_samples=10 * epoch)
param_scheduler = [dict(type='LinearLR', start_factor=1.0, end_factor=1e-8, begin=half, end=max_samples)]
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch, save_best='psnr_rgb'), ema=None)
