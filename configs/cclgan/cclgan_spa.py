# CCLGAN on the SPA subset of its paper: 2,000 rainy training pictures, 200 test pairs.
_base_ = [
    '../_base_/models/cclgan.py',
    '../_base_/datasets/unpaired_ab.py',
    '../_base_/schedules/adam_two_steps.py',
]
root = dict(dataset=dict(data_root='data/cclgan_spa'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
optim_wrapper = dict(generator=dict(clip_grad=dict(max_norm=10)))  # a guard where a ratio's denominator is small
