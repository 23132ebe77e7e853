# Li, Cheong and Tan (CVPR 2019), stage 1: streaks, transmission, airlight, and J0.
model = dict(
    type='HeavyRainPhysics',
    physics=dict(
        backbone=dict(type='PhysicsEstimator', guide='residue', base_width=64),
        head=dict(type='PhysicsHead', t_min=0.01, eps=1e-3),
    ),
    physics_losses=dict(
        streak=dict(mse=dict(type='MSELoss')),
        transmission=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss', weight=0.5)),
        airlight=dict(mse=dict(type='MSELoss')),
    ),
)
