# The included model's: Adam, bfloat16 if the hardware supports it, gradient clipping, a short warm-up, cosine decay.
# A config that changes batch size, steps or learning rate must redefine its scheduler.
_base_ = '../default_runtime.py'
batch = 8
max_samples = 16_000 * batch  # steps x batch
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=max_samples // 7)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    emulate=False,
    optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99)),
    clip_grad=dict(max_norm=0.5, error_if_nonfinite=True),
)
warm_up = 500 * batch
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=warm_up),
    dict(type='CosineAnnealingLR', begin=warm_up, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
auto_scale_lr = dict(enable=False, base_batch_size=batch)
