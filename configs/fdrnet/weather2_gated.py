# Version 2 of the included model: the network of weather2.py, whose own weights stay as they are, with the gates of
# weather_gated.py. The included weights are what docs/studies/weather_gates.py --config fdrnet/weather2_gated.py
# --weights FILE --floor 1e-5 --out FILE.pth fits; this config trains the gates further.
_base_ = [
    '../_base_/models/weather2.py',
    '../_base_/datasets/clean_folder_scenes.py',
    '../_base_/schedules/adam_gates.py',
]
load_from = 'work_dirs/weather2_gated_start.pth'
freeze = ['generator.backbone.inner.*', 'generator.head.*']
network = _base_.model.generator
model = dict(
    generator=dict(
        backbone=dict(_delete_=True, type='SceneGated', inner=network.backbone, tap='process'),
        head=dict(_delete_=True, type='GatedHead', inner=network.head),
    ),
    losses=dict(_delete_=True, psnr=dict(type='PSNRLoss', weight=0.1)),
)
load, shrink, window, *scene, survey = _base_.before
# enlarged parts of photographs: soft images, in which nothing is to be sharpened
enlarge = [dict(type='SmallWindow', p=0.3, least=80, roles=('gt',)), dict(type='Resize', short=320), window]
small = dict(type='SmallWindow', p=0.25, least=4, roles=('lq', 'gt'))
cut = dict(type='RandomWindow', size=192, roles=('lq', 'gt'))
pipeline = [load, shrink, window, *enlarge, *scene, small, survey, cut, _base_.ready]
train_dataloader = dict(batch_size=_base_.batch, num_workers=1, dataset=dict(pipeline=pipeline))
