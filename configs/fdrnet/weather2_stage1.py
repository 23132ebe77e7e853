# First stage of version 2 of the included model.
_base_ = [
    '../_base_/models/weather2.py',
    '../_base_/datasets/clean_folder_scenes.py',
    '../_base_/schedules/adam_weather.py',
]
batch = _base_.batch
max_samples = 24_000 * batch  # steps x batch
warm_up = 300 * batch
train_dataloader = dict(batch_size=batch, num_workers=1)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up),
    dict(type='CosineAnnealingLR', begin=warm_up, T_max=max_samples, end=max_samples, eta_min=5e-4),
]
default_hooks = dict(checkpoint=dict(every_samples=400 * batch, max_keep=2), logger=dict(interval=100))
