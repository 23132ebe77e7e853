# The model that is shipped: rain from light to heavy, veil and haze, snow, noise, blur and JPEG, alone and mixed, drawn
# over clean photographs on the fly. Not a setting of the paper. Photographs: data/clean/{train,test}/gt.
_base_ = [
    '../_base_/datasets/clean_folder_line_rain.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
max_samples = 14_000 * 8  # steps x batch
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='FDRUNet', widths=(32, 64, 96), layers=2, process=4),
        # without a ReLU: features that drift below zero would be cut off for good
        head=dict(type='SubPixelHead', residual=True, activation=False),
    ),
    losses=dict(charbonnier=dict(type='CharbonnierLoss')),
    statistics_window=128,  # the training crop
)

veiled_rain = dict(type='HeavyRain', beta=(0.8, 4.2), brightness=(0.4, 1.2))
veil = dict(type='Veil', beta=(0.8, 4.2), airlight=(0.4, 1.0))
weather = dict(
    type='OneOf',
    recipes=[None, 'light_rain', 'did_rain', 'rain100h', 'rain100l', veiled_rain, 'rain_fog', veil, 'haze', 'snow'],
    weights=[0.32, 0.18, 0.14, 0.04, 0.04, 0.14, 0.03, 0.03, 0.03, 0.05],
)
# strengths begin where damage is seen: what a camera or a file does to every good photograph is to be left alone
camera = dict(
    type='OneOf',
    recipes=[
        None,
        'moderate',
        'mild',
        dict(type='GaussianNoise', sigma=(5, 40)),
        dict(type='GaussianBlur', sigma=(0.7, 3)),
        dict(type='MotionBlur', length=(3, 13)),
        dict(type='JPEG', quality=(15, 60)),
        'poisson',
    ],
    weights=[0.66, 0.1, 0.06, 0.05, 0.04, 0.02, 0.05, 0.02],
)
damage = dict(type='Degrade', recipe=dict(type='Compose', recipes=[weather, camera]))
pack = dict(type='Pack', roles=('lq', 'gt'))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=192),
            dict(type='Flip', p=0.5),
            damage,
            dict(type='RandomWindow', size=128),  # so that borders of what is rendered are seen no more than elsewhere
            pack,
        ]
    ),
)
val_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadPictures'), damage, pack]))
test_dataloader = val_dataloader
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 7)
optim_wrapper = dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.99)), clip_grad=dict(max_norm=0.2, error_if_nonfinite=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=500 * 8),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=500 * 8, T_max=max_samples, end=max_samples, eta_min=1e-6),
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 28))
