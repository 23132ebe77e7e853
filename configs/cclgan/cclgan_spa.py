# CCLGAN on the SPA subset of its paper: 2,000 rainy training images, 200 test pairs.
_base_ = [
    '../_base_/models/cclgan.py',
    '../_base_/datasets/cclgan_spa.py',
    '../_base_/schedules/adam_two_steps.py',
]
optim_wrapper = dict(generator=dict(clip_grad=dict(max_norm=10)))  # a ratio's denominator can be small
