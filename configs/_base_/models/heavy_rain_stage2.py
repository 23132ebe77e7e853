# Li, Cheong and Tan (CVPR 2019), stage 2: the physics of stage 1, refinement, and the depth-guided discriminator.
model = dict(
    type='HeavyRainRestorer',
    physics=dict(
        backbone=dict(type='PhysicsEstimator', guide='residue', base_width=64),
        head=dict(type='PhysicsHead', t_min=0.01, eps=1e-3),
    ),
    generator=dict(
        backbone=dict(type='RefUNet', cond='both', base_width=64),
        head=dict(type='PictureHead', kernel=1, last='relu'),
    ),
    discriminator=dict(
        backbone=dict(type='DepthGuidedDiscriminator', base_width=8),
        head=dict(type='DenseRealnessHead', side=16, width=1024),
    ),
    losses=dict(
        mse=dict(type='MSELoss'),
        vgg=dict(type='PerceptualLoss', layers=dict(relu2_1=1.0), criterion='mse', weight=2.0),
        gradient=dict(type='GradientLoss'),
    ),
    objective=dict(lambda_gan=0.01, lambda_depth=1.0, real_rate=0.1),
)
