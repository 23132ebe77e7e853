# Clean images only: data/clean/{train,test}/gt; synthesised weather and camera degradations, alone and mixed.
_base_ = 'paired_folder.py'
clean = dict(data_root='data/clean', lq=None)
veiled_rain = dict(type='HeavyRain', beta=(0.8, 4.2), brightness=(0.4, 1.2))
veil = dict(type='Veil', beta=(0.8, 4.2), airlight=(0.4, 1.0))
weather = dict(
    type='OneOf',
    recipes=['light_rain', 'did_rain', 'rain100h', 'rain100l', veiled_rain, 'rain_fog', veil, 'haze', 'snow'],
    weights=[0.17, 0.14, 0.04, 0.04, 0.12, 0.03, 0.03, 0.03, 0.04],
)
# minimum strengths are visible: the normal noise and compression of good photographs are not to be removed
camera = dict(
    type='OneOf',
    recipes=[
        'moderate',
        'mild',
        dict(type='GaussianNoise', sigma=(5, 40)),
        dict(type='GaussianBlur', sigma=(0.7, 3)),
        dict(type='MotionBlur', length=(3, 13)),
        dict(type='JPEG', quality=(15, 60)),
        'poisson',
    ],
    weights=[0.2, 0.05, 0.05, 0.04, 0.02, 0.06, 0.02],
)
both = dict(type='Compose', recipes=[weather, camera])
damage = dict(
    type='Degrade',
    recipe=dict(type='OneOf', recipes=[None, weather, camera, both], weights=[0.2, 0.36, 0.16, 0.28]),
)
pack = dict(type='Pack', roles=('lq', 'gt'))
train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        **clean,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=192),
            dict(type='Flip', p=0.5),
            damage,
            dict(type='RandomWindow', size=128),  # cropped after rendering, to avoid border effects
            pack,
        ],
    ),
)
val_dataloader = dict(dataset=dict(**clean, pipeline=[dict(type='LoadPictures'), damage, pack]))
test_dataloader = val_dataloader
