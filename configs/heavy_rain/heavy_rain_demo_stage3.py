# Stage 3 of heavy_rain_demo_stage2.py: all networks at a tenth of the learning rate, from its last checkpoint. Not from
# the paper.
_base_ = [
    '../_base_/models/heavy_rain_stage2_demo.py',
    '../_base_/datasets/clean_folder_heavy_rain_demo.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
max_samples = 250 * _base_.batch  # steps x batch
model = dict(
    physics_losses=dict(
        streak=dict(mse=dict(type='MSELoss')),
        transmission=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss', weight=0.5)),
        airlight=dict(mse=dict(type='MSELoss')),
    )
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
adam = dict(type='AutocastOptimWrapper', emulate=False, optimizer=dict(lr=1e-4))
optim_wrapper = dict(discriminator=adam, generator=adam)
halving = dict(step_size=max_samples)
param_scheduler = dict(discriminator=halving, generator=halving)
default_hooks = dict(checkpoint=dict(every_samples=max_samples))
