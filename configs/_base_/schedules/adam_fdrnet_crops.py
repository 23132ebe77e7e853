# adam_fdrnet.py for large crops: the same number of steps, batch size 8.
_base_ = '../default_runtime.py'
batch = 8
epoch = 9_000 * batch
train_cfg = dict(type='SampleTrainLoop', max_samples=30 * epoch, val_samples=epoch)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4))
param_scheduler = [dict(type='StepLR', step_size=epoch, gamma=0.8)]
auto_scale_lr = dict(enable=False, base_batch_size=batch)
default_hooks = dict(
    checkpoint=dict(every_samples=epoch, save_best='psnr_rgb'),
    ema=None,  # the paper deploys the last weights
)
