# A laptop-size model for `make demo`: minutes on two cores. Not a setting of any paper.
_base_ = [
    '../_base_/datasets/clean_folder_line_rain.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
max_samples = 3_500 * 8  # steps x batch
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='UNet', levels=3, base_width=32, max_width=128, norm=None, value_range=(0, 1)),
        head=dict(type='PictureHead', residual=True),
    ),
    losses=dict(charbonnier=dict(type='CharbonnierLoss')),
)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=96),
            dict(type='Flip', p=0.5),
            _base_.rain,
            dict(type='Pack', roles=('lq', 'gt')),
        ]
    ),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
optim_wrapper = dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.99)))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_samples, eta_min=1e-6)]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
