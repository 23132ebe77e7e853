# adam_fdrnet for large crops: the same steps, of 8 samples.
_base_ = 'adam_fdrnet.py'
batch = 8
epoch = 9_000 * batch
train_cfg = dict(max_samples=30 * epoch, val_samples=epoch)
param_scheduler = [dict(type='StepLR', by_epoch=False, step_size=epoch, gamma=0.8)]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=epoch))
