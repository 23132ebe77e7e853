# Stage 2 of heavy_rain_demo_residue.py, from its last checkpoint. No setting of the paper.
_base_ = 'heavy_rain_demo_residue.py'
max_samples = 2_000
model = dict(
    type='HeavyRainRestorer',
    physics_losses=None,  # what stage 1 learnt stands still
    generator=dict(
        backbone=dict(type='RefUNet', cond='both', base_width=16),
        head=dict(type='PictureHead', kernel=1, last='relu'),
        channels_last=True,
    ),
    discriminator=dict(
        backbone=dict(type='DepthGuidedDiscriminator', base_width=1),
        head=dict(type='DenseRealnessHead', side=12, width=64),
    ),
    losses=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss')),  # VGG needs a file
    objective=dict(lambda_gan=0.01, lambda_depth=1.0, real_rate=0.1),
)
optimiser = dict(type='AutocastOptimWrapper', emulate=False, optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)))
halving = dict(type='StepLR', step_size=max_samples // 4, gamma=0.5, by_epoch=False)
optim_wrapper = dict(
    _delete_=True, constructor='RoleOptimWrapperConstructor', discriminator=optimiser, generator=optimiser
)
param_scheduler = dict(_delete_=True, discriminator=halving, generator=halving)
