# NAFNet of width 32 on GoPro: batch 64, 400,000 steps, crops of 256 pixels (paper, section 5).
_base_ = [
    '../_base_/models/nafnet.py',
    '../_base_/datasets/gopro.py',
    '../_base_/schedules/adamw_cosine.py',
]
batch = 64
max_samples = 400_000 * batch  # steps x batch
train_dataloader = dict(batch_size=batch)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 80)
optim_wrapper = dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.9), weight_decay=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_samples, eta_min=1e-7)]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 80))
