# Training of the gates of an included model after docs/studies/weather_gates.py has fitted them.
_base_ = '../default_runtime.py'
batch = 4
max_samples = 4_000 * batch  # steps x batch
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=max_samples // 4)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    emulate=False,
    optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99)),
    clip_grad=dict(max_norm=0.5, error_if_nonfinite=True),
)
warm_up = 100 * batch
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up),
    dict(type='CosineAnnealingLR', begin=warm_up, T_max=max_samples - warm_up, end=max_samples, eta_min=1e-5),
]
auto_scale_lr = dict(enable=False, base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=500 * batch, max_keep=2), ema=dict(decay=0.999))
