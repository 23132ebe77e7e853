# Version 2 of the included model, from the weights of version 1 (docs/studies/weather_start.py, weather_train.py). All
# samples are degraded: with undegraded ones and floor=1e-4 the network changed ever less. Gates for undegraded images
# are fitted afterwards (docs/studies/weather_gates.py). The learning rate decays over the last two fifths.
_base_ = [
    '../_base_/models/weather2.py',
    '../_base_/datasets/clean_folder_scenes.py',
    '../_base_/schedules/adam_weather.py',
]
batch = 4
max_samples = 12_000 * batch  # steps x batch
warm_up = 300 * batch
decay = max_samples * 2 // 5
load_from = 'work_dirs/weather2_start.pth'
model = dict(losses=dict(psnr=dict(floor=3e-4)))
both = dict(type='Compose', recipes=[_base_.weather, _base_.camera])
damaged = dict(type='OneOf', recipes=[_base_.weather, _base_.camera, both], weights=[0.44, 0.38, 0.18])
degrade = dict(type='Degrade', recipe=damaged)
# statistics of a small part of a photograph, such as a piece of sky, resemble those of haze
small = dict(type='SmallWindow', p=0.3, least=48, roles=('lq', 'gt'))
cut = dict(type='RandomWindow', size=192, roles=('lq', 'gt'))
scene = _base_.before[:5]  # up to Night
last = [_base_.light, _base_.rounded, small, _base_.survey, cut, _base_.ready]
train_dataloader = dict(batch_size=batch, num_workers=1, dataset=dict(pipeline=[*scene, degrade, *last]))
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
