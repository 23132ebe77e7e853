# Snow, rain with veil and drops in one network; settings of TransWeather (CVPR 2022) with UNet-5.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/all_weather.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
epoch = 18_069
max_samples = 200 * epoch
train_dataloader = dict(batch_size=32)  # crops of 256
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 10)
optim_wrapper = dict(optimizer=dict(lr=2e-4, betas=(0.9, 0.999)))
param_scheduler = [dict(type='MultiStepLR', milestones=[100 * epoch, 150 * epoch], gamma=0.5)]
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 40, save_best='psnr_y'))
