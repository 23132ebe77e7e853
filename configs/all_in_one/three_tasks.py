# Three tasks (haze, rain, noise) in one network; settings of PromptIR (NeurIPS 2023) with UNet-5.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/three_tasks.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
max_samples = 120 * 142_431  # epochs x crops
model = dict(statistics_window=128)  # the training crop
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 10)
optim_wrapper = dict(optimizer=dict(lr=2e-4, betas=(0.9, 0.999)))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_samples, eta_min_ratio=0.01)]
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 40, save_best='psnr_rgb'))
