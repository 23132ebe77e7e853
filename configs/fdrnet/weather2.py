# weather2_stage1.py's network, trained further with PSNRLoss on larger crops:
# restorebox train-stages fdrnet/weather2_stage1.py fdrnet/weather2.py
_base_ = [
    '../_base_/models/weather2.py',
    '../_base_/datasets/clean_folder_scenes.py',
    '../_base_/schedules/adam_weather.py',
]
batch = 4
max_samples = 150_000 * batch  # steps x batch
warm_up = 300 * batch
load_from = 'work_dirs/weather2_stage1/iter_24000.pth'
model = dict(losses=dict(_delete_=True, psnr=dict(type='PSNRLoss', weight=0.1)))
cut = dict(type='RandomWindow', size=192, roles=('lq', 'gt'))
train_dataloader = dict(batch_size=batch, num_workers=1, dataset=dict(pipeline=[*_base_.before, cut, _base_.ready]))
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 30)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=warm_up),
    dict(type='CosineAnnealingLR', begin=warm_up, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(
    checkpoint=dict(every_samples=400 * batch, max_keep=2), ema=dict(decay=0.9995), logger=dict(interval=100)
)
