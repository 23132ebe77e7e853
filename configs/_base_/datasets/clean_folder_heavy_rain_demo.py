# Clean images only: data/clean/{train,test}/gt; synthesised heavy rain and its layers, for heavy_rain.
_base_ = 'paired_folder.py'
clean = dict(data_root='data/clean', lq=None)
batch, crop = 2, 192
load, flip, cut = dict(type='LoadPictures'), dict(type='Flip', p=0.5), dict(type='RandomWindow', size=crop)
scene = dict(type='RandomWindow', size=240)  # rendered larger than the crop: the veil covers the scene
rain = dict(type='Degrade', recipe='outdoor_rain')
noise = dict(type='Degrade', source='lq', recipe=dict(type='GreyNoise', sigma=(1, 1)))
pack = dict(type='Pack', roles=('lq', 'gt', 'streak', 'transmission', 'airlight'))
train_dataloader = dict(
    batch_size=batch, num_workers=1, dataset=dict(**clean, pipeline=[load, scene, flip, rain, cut, noise, pack])
)
val_dataloader = dict(num_workers=1, dataset=dict(**clean, pipeline=[load, rain, pack]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='PictureScores', protocols=('psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb')),
    dict(type='LayerScores'),
]
test_evaluator = val_evaluator
