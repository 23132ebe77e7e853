# CycleGAN on CCLGAN's SPA subset, for its table: 100 epochs at constant learning rate,
# 100 with linear decay to zero, as in the authors' training.
_base_ = [
    '../_base_/models/cyclegan.py',
    '../_base_/datasets/cclgan_spa.py',
    '../_base_/schedules/adam_two_steps.py',
]
epoch = 2_000
train_cfg = dict(max_samples=200 * epoch)
decay = dict(begin=100 * epoch, end=200 * epoch)
param_scheduler = dict(discriminator=decay, generator=decay)
