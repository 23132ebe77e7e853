# Unpaired sets in CycleGAN's layout: data_root/{trainA,trainB,testA,testB}, A rainy, B clean. testA, testB: pairs
# of the same name, for scoring only. Resized to 286x286 and cropped to 256x256 for training; at test resized to
# 256x256, as in CCLGAN's tables; the score names state it.
data_root = 'data/unpaired'
crop = 256

train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='KeyedSampler', shuffle=True),
    dataset=dict(
        type='UnpairedPictures',
        data_root=data_root,
        split='',
        lq='trainA',
        hq='trainB',
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='Resize', size=(286, 286)),
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
        split='',
        lq='testA',
        gt='testB',
        test_mode=True,
        pipeline=[dict(type='LoadPictures'), dict(type='Resize', size=(256, 256)), dict(type='Pack')],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PictureScores', protocols=('psnr_y@256', 'ssim_y@256'))
test_evaluator = val_evaluator
