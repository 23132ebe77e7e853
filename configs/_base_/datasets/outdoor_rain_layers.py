# Outdoor-Rain with its streaks, transmission and airlight; grey noise on the training images, as in the paper's code.
_base_ = 'paired_folder.py'
root = dict(data_root='data/outdoor_rain', layers=('streak', 'transmission', 'airlight'))
grey_noise = dict(type='Degrade', source='lq', recipe=dict(type='GreyNoise', sigma=(1, 1)))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        **root,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            grey_noise,
            dict(type='Pack'),
        ],
    ),
)
val_dataloader = dict(dataset=root)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='PictureScores', protocols=('psnr_y_full_u8', 'ssim_y', 'psnr_y', 'psnr_rgb')),
    dict(type='LayerScores'),
]
test_evaluator = val_evaluator
