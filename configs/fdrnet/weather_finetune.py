# The included model, trained further on one's own pairs: data/paired/{train,test}/{lq,gt}, equal names.
# 3,000 steps: about 15 minutes on one CPU core. Page: docs/finetuning.md.
_base_ = [
    '../_base_/models/weather.py',
    '../_base_/datasets/paired_folder.py',
    '../_base_/schedules/adam_weather.py',
]
batch = 4
max_samples = 3_000 * batch  # steps x batch
warm_up = 100 * batch
load_from = 'configs/fdrnet/weather.safetensors'
model = dict(
    losses=dict(_delete_=True, psnr=dict(type='PSNRLoss', weight=0.1)),
    statistics_window=512,  # as in weather.py
)
train_dataloader = dict(
    batch_size=batch,
    num_workers=1,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=192),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ],
    ),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 3)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=warm_up),
    dict(type='CosineAnnealingLR', begin=warm_up, T_max=max_samples - warm_up, end=max_samples, eta_min_ratio=0.01),
]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 3))
