# pix2pix's: discriminator and generator by two Adams, constant, then linear to zero over the second half.
_base_ = 'adam_two_steps.py'
max_samples = 200_000
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 20)
decay = dict(begin=max_samples // 2, end=max_samples)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 20, save_best='psnr_rgb'))
