# CCLGAN on the RainCityscapes subset of its paper: 1,400 rainy training images, 175 test pairs.
_base_ = [
    '../_base_/models/cclgan.py',
    '../_base_/datasets/cclgan_rain_cityscapes.py',
    '../_base_/schedules/adam_two_steps_1400.py',
]
optim_wrapper = dict(generator=dict(clip_grad=dict(max_norm=10)))  # a ratio's denominator can be small
