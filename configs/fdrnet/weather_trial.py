# Short runs to select the included model's network at equal cost: docs/studies/weather_networks.py. Crops carry the
# statistics of their whole image; networks that do not read them use means of the crop.
_base_ = [
    '../_base_/models/weather.py',
    '../_base_/datasets/clean_folder_weather.py',
    '../_base_/schedules/adam_weather.py',
]
batch = _base_.batch
max_samples = 800 * batch  # steps x batch
model = dict(statistics_window=512)
roles = ('lq', 'gt', 'scene')
load, flip = dict(type='LoadPictures'), dict(type='Flip', p=0.5)
damaged = dict(type='OneOf', recipes=[_base_.weather, _base_.camera, _base_.both], weights=[0.5, 0.3, 0.2])
mixture = dict(type='OneOf', recipes=[None, damaged], weights=[0.1, 0.9])
train_dataloader = dict(
    batch_size=batch,
    dataset=dict(
        pipeline=[
            load,
            dict(type='RandomWindow', size=224),
            flip,
            dict(type='Degrade', recipe=mixture),
            dict(type='SurveyScene'),
            dict(type='RandomWindow', size=128, roles=('lq', 'gt')),
            dict(type='Pack', roles=roles),
        ]
    ),
)
pictures = [load, dict(type='Degrade', recipe=damaged), dict(type='Pack', roles=('lq', 'gt'))]
val_dataloader = dict(dataset=dict(pipeline=pictures))
test_dataloader = val_dataloader
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=60 * batch),
    dict(type='CosineAnnealingLR', begin=60 * batch, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 10), ema=dict(decay=0.99), logger=dict(interval=100))
