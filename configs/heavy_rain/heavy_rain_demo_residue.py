# Stage 1 at laptop size, on clean photographs with rain and veil drawn over them, data/clean/{train,test}/gt. No
# setting of the paper. heavy_rain_demo_input.py and heavy_rain_demo_none.py are its rivals of Table I.
_base_ = [
    '../_base_/models/heavy_rain.py',
    '../_base_/datasets/clean_folder_heavy_rain.py',
    '../_base_/schedules/heavy_rain_stage1.py',
]
batch, crop = 2, 192
max_samples = 1_000 * batch
rain = dict(type='Degrade', recipe='outdoor_rain')
noise = dict(type='Degrade', source='lq', recipe=dict(type='GreyNoise', sigma=(1, 1)))
pack = dict(type='Pack', roles=('lq', 'gt', 'streak', 'transmission', 'airlight'))
load, flip, cut = dict(type='LoadPictures'), dict(type='Flip', p=0.5), dict(type='RandomWindow', size=crop)
scene = dict(
    type='RandomWindow', size=240
)  # rendered larger than it is cut: a veil is as wide as what it is drawn over
model = dict(physics=dict(backbone=dict(base_width=8), channels_last=True))
train_dataloader = dict(
    batch_size=batch, num_workers=1, dataset=dict(pipeline=[load, scene, flip, rain, cut, noise, pack])
)
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=[load, rain, pack]))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='PictureScores', protocols=('psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb')),
    dict(type='LayerScores'),
]
test_evaluator = val_evaluator
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
optim_wrapper = dict(physics=dict(type='AutocastOptimWrapper', emulate=False, optimizer=dict(lr=1e-3)))
param_scheduler = dict(physics=dict(step_size=max_samples // 4))
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
