# Joint fine-tuning of all three networks at a tenth of the learning rate, starting from stage 2's last checkpoint.
_base_ = [
    '../_base_/models/heavy_rain_stage2.py',
    '../_base_/datasets/outdoor_rain_layers.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
max_samples = 10 * _base_.epoch
model = dict(
    physics_losses=dict(
        streak=dict(mse=dict(type='MSELoss')),
        transmission=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss', weight=0.5)),
        airlight=dict(mse=dict(type='MSELoss')),
    )
)
train_cfg = dict(max_samples=max_samples)
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=2e-5)), generator=dict(optimizer=dict(lr=2e-5)))
