# The replication report's way on Rain100H: all networks are fine-tuned from Outdoor-Rain (set load_from to stage 2's
# checkpoint), here at a tenth of the learning rate: the report gives no settings. Without a veil, the target of T is 1.
_base_ = [
    '../_base_/models/heavy_rain_stage2.py',
    '../_base_/datasets/rain100h_grey_noise.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
epoch = 1_254
max_samples = 10 * epoch
model = dict(
    physics_losses=dict(
        streak=dict(mse=dict(type='MSELoss')),
        transmission=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss', weight=0.5)),
    )
)
train_cfg = dict(max_samples=max_samples, val_samples=2 * epoch)
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=2e-5)), generator=dict(optimizer=dict(lr=2e-5)))
halving = dict(step_size=10 * epoch)
param_scheduler = dict(discriminator=halving, generator=halving)
default_hooks = dict(checkpoint=dict(every_samples=2 * epoch))
