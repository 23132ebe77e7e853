# Clean photographs only: data/clean/{train,test}/gt; line rain is drawn over them on the fly, at test always the same.
data_root = 'data/clean'
crop = 256
rain = dict(type='Degrade', recipe=dict(type='LineRain'))

train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='KeyedSampler', shuffle=True),
    dataset=dict(
        type='PairedPictures',
        data_root=data_root,
        split='train',
        lq=None,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),  # before the rain falls, so that its slant is drawn alike both ways
            rain,
            dict(type='Pack', roles=('lq', 'gt')),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PairedPictures',
        data_root=data_root,
        split='test',
        lq=None,
        test_mode=True,
        pipeline=[dict(type='LoadPictures'), rain, dict(type='Pack', roles=('lq', 'gt'))],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PictureScores', protocols=('psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb'))
test_evaluator = val_evaluator
