# adam_two_steps.py for a laptop: 2,400 steps of 2 samples, five times the learning rate.
_base_ = '../default_runtime.py'
batch = 2
max_samples = 2_400 * batch  # steps x batch
optimiser = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)))
clip = dict(max_norm=10, error_if_nonfinite=True)
decay = dict(type='LinearLR', start_factor=1.0, end_factor=1e-8, begin=max_samples // 2, end=max_samples)
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=max_samples // 4)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(
    constructor='RoleOptimWrapperConstructor',
    discriminator=dict(**optimiser, clip_grad=clip),
    generator=dict(**optimiser, clip_grad=clip),
)
param_scheduler = dict(discriminator=decay, generator=decay)
auto_scale_lr = dict(enable=False, base_batch_size=batch)
default_hooks = dict(
    checkpoint=dict(every_samples=max_samples // 4, save_best='psnr_y'),
    ema=dict(type='RoleEMAHook', decay=0.999),
)
