# Version 2 of the included model, from the weights of version 1 (docs/studies/weather_start.py, weather_train.py). Some
# pictures are small windows, whose statistics alone look like haze. The learning rate is constant for 4,800 steps and
# decays over the last two fifths: at a constant rate the validation score stopped to rise after 6,000 steps.
_base_ = [
    '../_base_/models/weather2.py',
    '../_base_/datasets/clean_folder_scenes.py',
    '../_base_/schedules/adam_weather.py',
]
batch = 4
max_samples = 8_000 * batch  # steps x batch
warm_up = 300 * batch
decay = max_samples * 2 // 5
load_from = 'work_dirs/weather2_start.pth'
small = dict(type='SmallWindow', p=0.08, least=4, roles=('lq', 'gt'))
*scene, survey = _base_.before
cut = dict(type='RandomWindow', size=192, roles=('lq', 'gt'))
train_dataloader = dict(
    batch_size=batch, num_workers=1, dataset=dict(pipeline=[*scene, small, survey, cut, _base_.ready])
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 8)
optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=warm_up),
    dict(type='CosineAnnealingLR', begin=max_samples - decay, T_max=decay, end=max_samples, eta_min=1e-6),
]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(
    checkpoint=dict(every_samples=400 * batch, max_keep=2), ema=dict(decay=0.9995), logger=dict(interval=100)
)
