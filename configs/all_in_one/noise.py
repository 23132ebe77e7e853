# Gaussian noise of sigma 15, 25 or 50 in one network: WED and BSD400, tested on CBSD68. Page: docs/protocols.md.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/wed_bsd400.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
max_samples = 3_200_000
train_dataloader = dict(batch_size=8)  # crops of 128
model = dict(statistics_window=128)  # the training crop
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 10)
optim_wrapper = dict(optimizer=dict(lr=2e-4, betas=(0.9, 0.999)))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_samples, eta_min_ratio=0.01)]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 40, save_best='psnr_rgb'))
