# weather_stage1.py's network, trained further with PSNRLoss on larger crops, since a veil is judged from the whole
# image. Adds rain near the lens and sheets of rain; single degradations are more frequent. Page: docs/weather.md.
_base_ = [
    '../_base_/models/weather.py',
    '../_base_/datasets/clean_folder_weather.py',
    '../_base_/schedules/adam_weather.py',
]
batch = 4
max_samples = 9_500 * batch  # steps x batch
load_from = 'work_dirs/weather_stage1/iter_16000.pth'
model = dict(
    losses=dict(_delete_=True, psnr=dict(type='PSNRLoss', weight=0.1)),
    statistics_window=512,  # images up to this size have global statistics
)
near = dict(density=(4e-4, 0.01), length=(20, 80), width=(1, 3), brightness=(0.15, 0.7), spread=(0.5, 5))
sheets = dict(
    density=(5e-3, 0.04), length=(15, 60), width=(0.6, 2), brightness=(0.1, 0.4), spread=(0.5, 8), sheet=(0, 0.2)
)
weather = dict(
    type='OneOf',
    recipes=[*_base_.weather.recipes, dict(type='TemplateRain', **near), dict(type='TemplateRain', **sheets)],
    weights=[0.15, 0.16, 0.05, 0.05, 0.12, 0.02, 0.04, 0.04, 0.03, 0.16, 0.16],
)
weak = dict(type='Compose', recipes=[dict(type='GaussianNoise', sigma=(0.5, 8)), dict(type='JPEG', quality=(60, 98))])
camera = dict(type='OneOf', recipes=[*_base_.camera.recipes, weak], weights=[0.8, *_base_.camera.weights[1:], 0.13])
both = dict(type='Compose', recipes=[weather, camera])
mixture = dict(type='OneOf', recipes=[None, weather, camera, both], weights=[0.1, 0.37, 0.48, 0.05])
load, flip, damage = dict(type='LoadPictures'), dict(type='Flip', p=0.5), dict(type='Degrade', recipe=mixture)
scene, window = dict(type='RandomWindow', size=240), dict(type='RandomWindow', size=192)
train_dataloader = dict(batch_size=batch, dataset=dict(pipeline=[load, scene, flip, damage, window, _base_.pack]))
val_dataloader = dict(dataset=dict(pipeline=[load, damage, _base_.pack]))
test_dataloader = val_dataloader
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=200 * batch),
    dict(type='CosineAnnealingLR', begin=200 * batch, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 19))
