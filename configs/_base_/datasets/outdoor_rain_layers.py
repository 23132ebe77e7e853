# Outdoor-Rain with its streaks, transmission and airlight, which Test 1 does not have; grey noise on the training
# images, as in the paper's code.
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
val_dataloader = dict(dataset=dict(**root, split='val'))
test_dataloader = dict(dataset=dict(data_root='data/outdoor_rain'))
scores = ('psnr_y_full_u8', 'ssim_y', 'psnr_y', 'psnr_rgb')
val_evaluator = [dict(type='PictureScores', protocols=scores), dict(type='LayerScores')]
test_evaluator = [
    dict(type='PictureScores', protocols=(*scores, 'psnr_y_full_u8@448x672')),
    dict(type='LayerScores', protocols=('psnr_physics',)),
]
