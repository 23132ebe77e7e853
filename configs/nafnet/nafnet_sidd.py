# NAFNet of width 32 on SIDD with the layout of the authors' SIDD model: 29.16 M parameters. They train on all of SIDD,
# and test without TLC.
_base_ = [
    '../_base_/models/nafnet.py',
    '../_base_/datasets/gopro.py',
    '../_base_/schedules/adamw_cosine.py',
]
batch = 64
max_samples = 400_000 * batch  # steps x batch
root = dict(dataset=dict(data_root='data/sidd_small'))
train_dataloader = dict(batch_size=batch, **root)
val_dataloader = root
test_dataloader = root
model = dict(
    generator=dict(backbone=dict(before=(2, 2, 4, 8), middle=12, behind=(2, 2, 2, 2))),
    statistics_window=None,
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 80)
optim_wrapper = dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.9), weight_decay=0.0))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_samples, eta_min=1e-7)]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 80))
