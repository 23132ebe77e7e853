# All parts at laptop size: UNet-3, a small InfoAccum and a sub-pixel head, trained as conditional LSGAN; rain is
# synthesised on your clean images, data/clean/{train,test}/gt. Not from the paper.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/clean_folder_line_rain.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
batch, crop = 4, 96
max_samples = 2_000 * batch
model = dict(
    generator=dict(
        backbone=dict(levels=3, base_width=24, max_width=96, stems=dict(down1=dict(type='InfoAccum', layers=3))),
        head=dict(_delete_=True, type='SubPixelHead'),
    ),
    discriminator=dict(backbone=dict(base_width=16)),
    gan_mode='lsgan',
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
            dict(type='Pack', roles=('lq', 'gt')),
        ]
    ),
)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
faster = dict(optimizer=dict(lr=1e-3))
optim_wrapper = dict(discriminator=faster, generator=faster)
decay = dict(begin=max_samples // 2, end=max_samples)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
