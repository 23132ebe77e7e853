# adam_two_steps for a set whose epoch is 1,400 samples.
_base_ = 'adam_two_steps.py'
epoch = 1_400
train_cfg = dict(max_samples=400 * epoch, val_samples=10 * epoch)
decay = dict(begin=200 * epoch, end=400 * epoch)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch))
