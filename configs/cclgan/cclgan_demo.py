# CCLGAN at laptop size: narrower, 48-pixel crops, a residual generator that starts as the identity. Rain is drawn over
# half of your clean photographs, data/clean/{train,test}/gt; the other half is the clean side. No setting of the paper.
_base_ = [
    '../_base_/models/cclgan.py',
    '../_base_/datasets/clean_folder_line_rain_unpaired.py',
    '../_base_/schedules/adam_two_steps.py',
]
batch, crop = 2, 48
max_samples = 2_400 * batch  # steps x batch
model = dict(
    generator=dict(backbone=dict(blocks=3, base_width=16), head=dict(kernel=3, residual=True), init=None),
    discriminator=dict(backbone=dict(base_width=16), init=None),
    statistics_window=crop,
)
train_dataloader = dict(
    batch_size=batch,
    num_workers=1,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            _base_.rain,
            dict(type='Pack', roles=('lq', 'hq')),
        ]
    ),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
faster = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=10))
optim_wrapper = dict(discriminator=faster, generator=faster)
decay = dict(begin=max_samples // 2, end=max_samples)
param_scheduler = dict(discriminator=decay, generator=decay)
auto_scale_lr = dict(base_batch_size=batch)
average = dict(_delete_=True, type='RoleEMAHook', decay=0.999)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4, save_best='psnr_y'), ema=average)
