# CycleGAN on CCLGAN's RainCityscapes subset, for its table: 100 epochs at constant learning
# rate, 100 with linear decay to zero.
_base_ = [
    '../_base_/models/cyclegan.py',
    '../_base_/datasets/cclgan_rain_cityscapes.py',
    '../_base_/schedules/adam_two_steps_1400.py',
]
epoch = 1_400
train_cfg = dict(max_samples=200 * epoch)
decay = dict(begin=100 * epoch, end=200 * epoch)
param_scheduler = dict(discriminator=decay, generator=decay)
