# First stage of the model that is shipped: rain from light to heavy, veil and haze, snow, noise, blur and JPEG, alone
# and mixed, over clean photographs, data/clean/{train,test}/gt, on the fly. Not a setting of the paper.
_base_ = [
    '../_base_/datasets/clean_folder_weather.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
max_samples = 16_000 * 8  # steps x batch
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='FDRUNet', widths=(32, 64, 128), blocks=(3, 3, 4)),
        # without a ReLU: features that drift below zero would be cut off for good
        head=dict(type='SubPixelHead', residual=True, activation=False),
        channels_last=True,
    ),
    losses=dict(charbonnier=dict(type='CharbonnierLoss')),
    statistics_window=128,  # the training crop
)

train_dataloader = dict(batch_size=8, num_workers=1)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 7)
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    emulate=False,
    optimizer=dict(lr=1e-3, betas=(0.9, 0.99)),
    clip_grad=dict(max_norm=0.5, error_if_nonfinite=True),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=500 * 8),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=500 * 8, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 28))
