# One Adam each for discriminators and generators; constant, then linear to zero in the second half. Units: samples.
_base_ = '../default_runtime.py'
epoch = 2_000  # the larger of the two training folders
max_samples = 400 * epoch
optimiser = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
free = dict(max_norm=1e30, error_if_nonfinite=True)  # clips nothing, but ends a run whose gradient is no number
decay = dict(type='LinearLR', start_factor=1.0, end_factor=1e-8, begin=200 * epoch, end=400 * epoch)
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=10 * epoch)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(
    constructor='RoleOptimWrapperConstructor',
    discriminator=dict(**optimiser, clip_grad=free),
    generator=dict(**optimiser, clip_grad=free),
)
param_scheduler = dict(discriminator=decay, generator=decay)
auto_scale_lr = dict(enable=False, base_batch_size=1)
default_hooks = dict(
    checkpoint=dict(every_samples=10 * epoch, save_best='psnr_y@256'),
    ema=None,  # the papers deploy the last weights
)
