# Composed degradations of CDD-11 in one network; settings of OneRestore (ECCV 2024) with UNet-5.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/cdd11.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
epoch = 13_013
max_samples = 120 * epoch
train_dataloader = dict(batch_size=16)  # crops of 256
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 10)
optim_wrapper = dict(optimizer=dict(lr=1e-4, betas=(0.9, 0.999)))
param_scheduler = [dict(type='StepLR', step_size=20 * epoch, gamma=0.5)]
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 40, save_best='psnr_rgb'))
