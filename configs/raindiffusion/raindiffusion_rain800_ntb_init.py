# Remedy, not of the paper: the generators are those of a CycleGAN trained before,
# raindiffusion_rain800_cyclegan.py, and are frozen.
_base_ = [
    '../_base_/models/raindiffusion.py',
    '../_base_/datasets/unpaired_from_pairs.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
model = dict(
    generator=dict(
        _delete_=True,
        backbone=dict(type='ResNetGenerator', blocks=9, base_width=64, antialias=False),
        head=dict(type='PictureHead', kernel=7, padding='reflect'),
    ),
    detach='all',
    lambda_cyc=0.0,
)
load_from = 'work_dirs/raindiffusion_rain800_cyclegan/iter_140000.pth'
