# AdamW with cosine decay to 1e-7. A config that changes batch size, steps or learning rate redefines its scheduler.
_base_ = '../default_runtime.py'
batch = 8
max_samples = 300_000 * batch  # steps x batch
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=max_samples // 60)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.999), weight_decay=1e-4))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_samples, eta_min=1e-7)]
auto_scale_lr = dict(enable=False, base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 60, save_best='psnr_rgb'))
