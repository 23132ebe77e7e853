# Heavy rain, refinement: as heavy_rain_stage1.py, with another beta1 of Adam for generator and discriminator.
_base_ = '../default_runtime.py'
epoch = 8_250
max_samples = 60 * epoch
optimiser = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
halving = dict(type='StepLR', step_size=10 * epoch, gamma=0.5)
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=10 * epoch)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(constructor='RoleOptimWrapperConstructor', discriminator=optimiser, generator=optimiser)
param_scheduler = dict(discriminator=halving, generator=halving)
auto_scale_lr = dict(enable=False, base_batch_size=8)
default_hooks = dict(
    checkpoint=dict(every_samples=10 * epoch, save_best='psnr_rgb'),
    ema=None,  # the paper deploys the last weights
)
