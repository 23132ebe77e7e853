# Table II, SIDD-Small (denoising): pix2pix.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/sidd_small.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
epoch = 160
train_cfg = dict(max_samples=200 * epoch, val_samples=10 * epoch)
decay = dict(begin=100 * epoch, end=200 * epoch)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch))
