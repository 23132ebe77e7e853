# Stage 2 of heavy_rain_demo_residue.py, without VGG, so that it needs no weights file. No setting of the paper.
_base_ = 'heavy_rain_demo_residue.py'
max_samples = 8_000
model = dict(
    stage=2,
    generator=dict(backbone=dict(base_width=12)),
    discriminator=dict(backbone=dict(base_width=2), head=dict(side=6, width=64)),
    losses=dict(_delete_=True, mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss')),
)
optimiser = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)))
halving = dict(type='StepLR', step_size=max_samples // 4, gamma=0.5, by_epoch=False)
optim_wrapper = dict(
    _delete_=True, constructor='RoleOptimWrapperConstructor', discriminator=optimiser, generator=optimiser
)
param_scheduler = dict(_delete_=True, discriminator=halving, generator=halving)
