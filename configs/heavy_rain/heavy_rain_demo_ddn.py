# DDN on the data of heavy_rain_demo_stage2.py, with as many samples as its two stages: a baseline at laptop size.
_base_ = [
    '../_base_/datasets/clean_folder_heavy_rain_demo.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
max_samples = 2 * 1_000 * _base_.batch  # stages x steps x batch
model = dict(
    type='SupervisedRestorer',
    generator=dict(backbone=dict(type='DDN'), head=dict(type='PictureHead', residual=True, activation=False)),
    losses=dict(mse=dict(type='MSELoss')),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='LinearLR', start_factor=1.0, end_factor=1e-8, begin=max_samples // 2, end=max_samples)]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4, save_best='psnr_rgb'), ema=None)
