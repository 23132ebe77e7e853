# Stage 2 of heavy_rain_demo_residue.py, from its last checkpoint. No setting of the paper.
_base_ = 'heavy_rain_demo_residue.py'
max_samples = 2_000
model = dict(stage=2)
optimiser = dict(type='AutocastOptimWrapper', emulate=False, optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)))
halving = dict(type='StepLR', step_size=max_samples // 4, gamma=0.5, by_epoch=False)
optim_wrapper = dict(
    _delete_=True, constructor='RoleOptimWrapperConstructor', discriminator=optimiser, generator=optimiser
)
param_scheduler = dict(_delete_=True, discriminator=halving, generator=halving)
