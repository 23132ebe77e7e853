# Clean images of several sizes, data/weather/{train,test}/gt (docs/studies/weather_data.py). Weather and camera
# degradations are synthesised on the fly. Each crop carries the statistics of its whole image.
_base_ = 'paired_folder.py'
clean = dict(data_root='data/weather', lq=None)
veiled_rain = dict(type='HeavyRain', beta=(0.8, 4.2), brightness=(0.4, 1.2))
veil = dict(type='Veil', beta=(0.8, 4.2), airlight=(0.4, 1.0))
edges = dict(depth='edges', tint=(-0.06, 0.08))  # haze follows object edges
varied = dict(type='VariedRain')
dense = dict(type='VariedRain', density=(0.02, 0.1), length=(6, 25), width=(0.5, 1.1), opacity=(0.3, 0.8))
near = dict(
    type='TemplateRain', density=(4e-4, 0.01), length=(20, 80), width=(1, 3), brightness=(0.15, 0.7), spread=(0.5, 5)
)
sheets = dict(
    type='TemplateRain',
    density=(5e-3, 0.04),
    length=(15, 60),
    width=(0.6, 2),
    brightness=(0.1, 0.4),
    spread=(0.5, 8),
    sheet=(0, 0.2),
)
grains = dict(
    type='NoiseRain', amount=(0.03, 0.16), sparseness=(0.3, 1.7), grain=(1.8, 4), length=(3, 14), uneven=(0, 0.9)
)
curtains = dict(
    type='NoiseRain',
    amount=(0.1, 0.45),
    sparseness=(-0.3, 1),
    grain=(2, 12),
    length=(50, 200),
    angle=(-20, 20),
    uneven=(0.4, 1),
    screen=False,
)
# dense soft streaks that brighten the whole image
soft = dict(
    type='NoiseRain',
    amount=(0.03, 0.12),
    sparseness=(-0.3, 1.5),
    grain=(2, 4),
    length=(6, 40),
    angle=(-30, 30),
    uneven=(0, 0.7),
    screen=False,
)
drops, spray = dict(type='Drops'), dict(type='Spray')
mist = dict(type='Veil', beta=(0.2, 2.5), airlight=(0.45, 0.95), **edges)
haze = dict(type='Veil', beta=(0.6, 4.2), airlight=(0.45, 1), **edges)
downpour = dict(
    type='Compose',
    recipes=[
        mist,
        dict(type='OneOf', recipes=[varied, dense]),
        dict(type='OneOf', recipes=[None, spray, drops], weights=[0.5, 0.3, 0.2]),
    ],
)
# (recipe, probability)
weathers = [
    ('light_rain', 0.04),
    ('did_rain', 0.05),
    ('screen_rain', 0.11),
    ('rain100h', 0.02),
    ('rain100l', 0.03),
    (near, 0.1),
    (sheets, 0.1),
    (grains, 0.03),
    (soft, 0.08),
    (curtains, 0.06),
    (varied, 0.02),
    (dense, 0.03),
    (downpour, 0.06),
    (drops, 0.02),
    (spray, 0.02),
    (veiled_rain, 0.09),
    ('rain_fog', 0.01),
    (veil, 0.03),
    (haze, 0.07),
    ('haze', 0.02),
    ('snow', 0.01),
]
weather = dict(type='OneOf', recipes=[each for each, _ in weathers], weights=[share for _, share in weathers])
weak = dict(type='Compose', recipes=[dict(type='GaussianNoise', sigma=(0.5, 8)), dict(type='JPEG', quality=(60, 98))])
cameras = [
    ('moderate', 0.5),
    ('mild', 0.05),
    ('severe', 0.02),
    (dict(type='CameraNoise'), 0.12),
    (dict(type='GaussianNoise', sigma=(5, 40)), 0.06),
    (weak, 0.06),
    ('poisson', 0.03),
    (dict(type='GaussianBlur', sigma=(0.7, 3)), 0.05),
    (dict(type='MotionBlur', length=(3, 13)), 0.03),
    (dict(type='JPEG', quality=(15, 75)), 0.08),
]
camera = dict(type='OneOf', recipes=[each for each, _ in cameras], weights=[share for _, share in cameras])
both = dict(type='Compose', recipes=[weather, camera])
damaged = dict(type='OneOf', recipes=[weather, camera, both], weights=[0.55, 0.27, 0.18])
mixture = dict(type='OneOf', recipes=[None, damaged], weights=[0.22, 0.78])
# no veil on drawn images: over a uniform image it cannot be recognised
over_drawn = dict(
    type='OneOf',
    recipes=[None, dict(type='CameraNoise'), dict(type='JPEG', quality=(30, 95)), 'noise', 'light_rain', 'did_rain'],
    weights=[0.6, 0.1, 0.15, 0.07, 0.04, 0.04],
)
load, pack = dict(type='LoadPictures'), dict(type='Pack', roles=('lq', 'gt'))
light, rounded = dict(type='Illuminant', p=0.1), dict(type='RoundPicture')
survey = dict(type='SurveyScene', jitter=0.4)
before = [
    load,
    dict(type='ShrinkPictures', least=320, p=0.7),
    dict(type='RandomWindow', size=320),
    dict(type='Flip', p=0.5),
    dict(type='Night', p=0.06),
    dict(type='Degrade', recipe=mixture),
    dict(type='DrawnPictures', p=0.1, recipe=over_drawn),
    light,
    rounded,
    survey,
]
ready = dict(type='Pack', roles=('lq', 'gt', 'scene'))
cut = dict(type='RandomWindow', size=128, roles=('lq', 'gt'))
train_dataloader = dict(dataset=dict(**clean, pipeline=[*before, cut, ready]))
half = dict(type='Resize', short=320)
val_dataloader = dict(dataset=dict(**clean, pipeline=[load, half, dict(type='Degrade', recipe=damaged), rounded, pack]))
test_dataloader = val_dataloader
