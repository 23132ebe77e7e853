# First stage of the shipped model's second edition.
_base_ = [
    '../_base_/datasets/clean_folder_scenes.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
max_samples = 24_000 * 8  # steps x batch
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(
            type='NAFUNet',
            widths=(48, 96, 144, 208),
            before=(2, 3, 4, 4),
            behind=(2, 3, 3),
            kinds=('residual', 'residual', 'naf', 'naf'),
            scene=64,
        ),
        # without a ReLU: features that drift below zero would be cut off for good
        head=dict(type='SubPixelHead', residual=True, activation=False),
        channels_last=True,
    ),
    losses=dict(charbonnier=dict(type='CharbonnierLoss')),
    statistics_window=None,
)
train_dataloader = dict(batch_size=8, num_workers=1)
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    emulate=False,
    optimizer=dict(lr=1e-3, betas=(0.9, 0.99)),
    clip_grad=dict(max_norm=0.5, error_if_nonfinite=True),
)
auto_scale_lr = dict(base_batch_size=8)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=300 * 8),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=300 * 8, T_max=max_samples, end=max_samples, eta_min=5e-4),
]
default_hooks = dict(checkpoint=dict(every_samples=400 * 8, max_keep=2), logger=dict(interval=100))
