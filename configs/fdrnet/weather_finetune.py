# What is shipped: weather.py's network, trained further by decibels and on larger windows, since whether a picture is
# veiled is seen from the whole of it. Each damage also alone more often, and undamaged pictures, which must stay so.
_base_ = 'weather.py'
max_samples = 15_000 * 4  # steps x batch
load_from = 'work_dirs/weather/iter_16000.pth'
model = dict(
    losses=dict(_delete_=True, psnr=dict(type='PSNRLoss', weight=0.1)),
    statistics_window=512,  # pictures up to this size are judged as a whole
)
damage = dict(
    type='Degrade',
    recipe=dict(
        type='OneOf',
        recipes=[None, _base_.weather, _base_.camera, _base_.both],
        weights=[0.18, 0.42, 0.28, 0.12],
    ),
)
val_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadPictures'), damage, _base_.pack]))
test_dataloader = val_dataloader
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=240),
            dict(type='Flip', p=0.5),
            damage,
            dict(type='RandomWindow', size=192),
            _base_.pack,
        ]
    ),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 6)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, end=200 * 4),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=200 * 4, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 30))
