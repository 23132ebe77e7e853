# Remedy for the collapse at laptop size: the generators of cclgan_demo (train it before, on the same images) stay as
# they are, and the denoisers learn from the pairs that they make.
_base_ = [
    '../_base_/models/raindiffusion_demo.py',
    '../_base_/datasets/clean_folder_demo64_unpaired.py',
    '../_base_/schedules/adam_diffusion_demo.py',
]
model = dict(
    generator=dict(
        _delete_=True,
        backbone=dict(type='ResNetGenerator', blocks=3, base_width=16, antialias=True),
        head=dict(type='PictureHead', kernel=3, padding='reflect', residual=True),
    ),
    detach='all',
    lambda_cyc=0.0,
)
load_from = 'work_dirs/cclgan_demo/iter_2400.pth'
