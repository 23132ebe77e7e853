# Pairs in folders: data/paired/{train,test}/{lq,gt}, both files of a pair have the same name.
data_root = 'data/paired'
crop = 256

train_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='KeyedSampler', shuffle=True),
    dataset=dict(
        type='PairedPictures',
        data_root=data_root,
        split='train',
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
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
        test_mode=True,
        pipeline=[dict(type='LoadPictures'), dict(type='Pack')],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PictureScores', protocols=('psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb'))
test_evaluator = val_evaluator
