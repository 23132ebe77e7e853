# Stage 2 on Rain100H, which has neither veil nor layers: T is 1, so the depth that the discriminator predicts is 0.
_base_ = [
    '../_base_/models/heavy_rain_stage2.py',
    '../_base_/datasets/rain100h_grey_noise.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
model = dict(physics=dict(backbone=dict(veil=False), head=dict(eps=0.0)))
epoch = 1_254
max_samples = 60 * epoch
train_cfg = dict(max_samples=max_samples, val_samples=10 * epoch)
halving = dict(step_size=10 * epoch)
param_scheduler = dict(discriminator=halving, generator=halving)
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch))
