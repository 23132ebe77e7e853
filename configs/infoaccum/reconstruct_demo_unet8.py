# Table III at laptop size: clean images data/clean/{train,test}/gt as input and target, narrow networks,
# 256-pixel crops.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/reconstruction.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
clean = dict(data_root='data/clean')
max_samples = 1_500
half = max_samples // 2
model = dict(
    generator=dict(backbone=dict(levels=8, base_width=16, max_width=64)),
    losses=dict(_delete_=True, mse=dict(type='MSELoss')),
)
train_dataloader = dict(num_workers=1, dataset=clean)
val_dataloader = dict(num_workers=1, dataset=clean)
test_dataloader = val_dataloader
train_cfg = dict(max_samples=max_samples, val_samples=half)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='LinearLR', start_factor=1.0, end_factor=1e-8, begin=half, end=max_samples)]
default_hooks = dict(checkpoint=dict(every_samples=half, save_best='psnr_rgb'), ema=None)
