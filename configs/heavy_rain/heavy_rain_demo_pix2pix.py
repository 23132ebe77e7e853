# pix2pix on the data of heavy_rain_demo_stage2.py, with as many samples as its two stages: a baseline at laptop size.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/clean_folder_heavy_rain_demo.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
max_samples = 2 * 1_000 * _base_.batch  # stages x steps x batch
model = dict(
    generator=dict(backbone=dict(levels=5, base_width=16, max_width=128)),
    discriminator=dict(backbone=dict(base_width=16)),
    statistics_window=_base_.crop,
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
faster = dict(optimizer=dict(lr=1e-3))
optim_wrapper = dict(discriminator=faster, generator=faster)
decay = dict(begin=max_samples // 2, end=max_samples)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
