# heavy_rain_stage2.py at laptop size, with losses that need no weights file.
model = dict(
    type='HeavyRainRestorer',
    physics=dict(
        backbone=dict(type='PhysicsEstimator', guide='residue', base_width=8),
        head=dict(type='PhysicsHead', t_min=0.01, eps=1e-3),
        channels_last=True,
    ),
    generator=dict(
        backbone=dict(type='RefUNet', cond='both', base_width=16),
        head=dict(type='PictureHead', kernel=1, last='relu'),
        channels_last=True,
    ),
    discriminator=dict(
        backbone=dict(type='DepthGuidedDiscriminator', base_width=1),
        head=dict(type='DenseRealnessHead', side=12, width=64),
    ),
    losses=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss')),
    objective=dict(lambda_gan=0.01, lambda_depth=1.0, real_rate=0.1),
)
