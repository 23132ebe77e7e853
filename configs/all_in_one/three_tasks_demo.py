# Three tasks (haze, rain, noise) at laptop size on your clean images, data/clean/{train,test}/gt; not from a paper.
# A U-Net with global statistics of the picture, which show how dense the haze is; rows: other networks.
_base_ = ['../_base_/datasets/clean_folder_three_tasks.py', '../_base_/schedules/adamw_cosine.py']
batch = _base_.train_dataloader.batch_size
max_samples = 1_200 * batch  # steps x batch
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(
            type='NAFUNet',
            widths=(32, 64, 96, 128),
            before=(1, 2, 2, 3),
            behind=(1, 2, 1),
            kinds=('residual', 'residual', 'naf', 'naf'),
            scene=32,
        ),
        head=dict(type='SubPixelHead', residual=True, activation=False),
    ),
    losses=dict(l1=dict(type='L1Loss')),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=max_samples, eta_min=1e-6)]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4), ema=dict(decay=0.99))
