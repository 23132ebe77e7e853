# adam_diffusion_400k.py for a laptop: 1,200 steps of 2 samples, in bfloat16 if the hardware supports it.
_base_ = '../default_runtime.py'
batch = 2
max_samples = 1_200 * batch  # steps x batch
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=max_samples)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    emulate=False,
    optimizer=dict(type='Adam', lr=5e-4, betas=(0.9, 0.99)),
    clip_grad=dict(max_norm=1.0, error_if_nonfinite=True),
)
param_scheduler = []
auto_scale_lr = dict(enable=False, base_batch_size=4)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
