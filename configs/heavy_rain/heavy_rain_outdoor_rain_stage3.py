# Joint fine-tuning of all three networks at a tenth of the learning rate, from stage 2's last checkpoint.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
epoch = 8_250
max_samples = 10 * epoch
model = dict(
    physics_losses=dict(
        streak=dict(mse=dict(type='MSELoss')),
        transmission=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss', weight=0.5)),
        airlight=dict(mse=dict(type='MSELoss')),
    ),
)
train_cfg = dict(max_samples=max_samples)
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=2e-5)), generator=dict(optimizer=dict(lr=2e-5)))
