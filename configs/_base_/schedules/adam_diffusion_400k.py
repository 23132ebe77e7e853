# RainDiffusion's Adam, 400,000 steps of 4 samples over all ranks. The paper does not state the length.
_base_ = '../default_runtime.py'
batch = 4
max_samples = 400_000 * batch
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=max_samples // 10)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=2e-5, betas=(0.5, 0.999)),
    clip_grad=dict(max_norm=1.0, error_if_nonfinite=True),
)
param_scheduler = []
auto_scale_lr = dict(enable=False, base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 20))
