# Heavy rain, refinement: as heavy_rain_stage1.py, with Adams of another memory for generator and discriminator.
_base_ = 'heavy_rain_stage1.py'
epoch = 8_250
optimiser = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
halving = dict(type='StepLR', step_size=10 * epoch, gamma=0.5, by_epoch=False)
optim_wrapper = dict(
    _delete_=True, constructor='RoleOptimWrapperConstructor', discriminator=optimiser, generator=optimiser
)
param_scheduler = dict(_delete_=True, discriminator=halving, generator=halving)
