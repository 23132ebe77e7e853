# pix2pix, with which the paper and its replication report compare: 60 epochs, as heavy rain's stages.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/outdoor_rain.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
epoch = 8_250
max_samples = 60 * epoch
train_cfg = dict(max_samples=max_samples, val_samples=10 * epoch)
decay = dict(begin=max_samples // 2, end=max_samples)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch))
