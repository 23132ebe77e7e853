# FDR-Net at laptop size: few phases, narrow; moderate blur, noise and JPEG are synthesised on your clean
# images, data/clean/{train,test}/gt. Not from the paper.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/clean_folder_hybrid.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
batch, crop = 8, 64
max_samples = 600 * batch
model = dict(
    generator=dict(backbone=dict(channels=16, phases=2, layers=3, process=2, aux=1)),
    statistics_window=crop,
)
train_dataloader = dict(
    batch_size=batch,
    num_workers=1,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            _base_.rain,
            _base_.pack,
        ]
    ),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 2)
optim_wrapper = dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.99)))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_samples, eta_min=1e-6)]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(
    checkpoint=dict(every_samples=max_samples // 2),
    gain_variation=dict(type='GainVariationHook', interval=50),
)
