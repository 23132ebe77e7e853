# Stage 1 on Rain100H, which has neither veil nor layers: T is 1, and the streaks are degraded minus clean.
_base_ = [
    '../_base_/models/heavy_rain.py',
    '../_base_/datasets/rain100h_grey_noise.py',
    '../_base_/schedules/heavy_rain_stage1.py',
]
model = dict(
    physics=dict(backbone=dict(veil=False), head=dict(eps=0.0)),
    physics_losses=dict(_delete_=True, streak=dict(mse=dict(type='MSELoss'))),
)
epoch = 1_254
max_samples = 60 * epoch
train_cfg = dict(max_samples=max_samples, val_samples=10 * epoch)
halving = dict(step_size=10 * epoch)
param_scheduler = dict(physics=halving)
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch))
