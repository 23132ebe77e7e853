# Version 1 of the included model with two gates per image (SceneGated, GatedHead), estimated from statistics of the
# whole image, so that undegraded images stay as they are. The network's own weights stay as in weather.py. The included
# weights are what docs/studies/weather_gates.py --out work_dirs/weather_gated_start.pth fits; this config trains the
# gates further.
_base_ = [
    '../_base_/models/weather.py',
    '../_base_/datasets/clean_folder_scenes.py',
    '../_base_/schedules/adam_gates.py',
]
load_from = 'work_dirs/weather_gated_start.pth'
freeze = ['generator.backbone.inner.*', 'generator.head.*']
network = _base_.model.generator
model = dict(
    generator=dict(
        backbone=dict(_delete_=True, type='SceneGated', inner=network.backbone, tap='process'),
        head=dict(_delete_=True, type='GatedHead', inner=network.head),
    ),
    losses=dict(_delete_=True, psnr=dict(type='PSNRLoss', weight=0.1)),
    statistics_window=512,  # as in weather.py
)
load, shrink, window, *scene, survey = _base_.before
# enlarged parts of photographs: soft images, in which nothing is to be sharpened
enlarge = [dict(type='SmallWindow', p=0.3, least=80, roles=('gt',)), dict(type='Resize', short=320), window]
small = dict(type='SmallWindow', p=0.08, least=4, roles=('lq', 'gt'))
cut = dict(type='RandomWindow', size=192, roles=('lq', 'gt'))
pipeline = [load, shrink, window, *enlarge, *scene, small, survey, cut, _base_.ready]
train_dataloader = dict(batch_size=_base_.batch, num_workers=1, dataset=dict(pipeline=pipeline))
