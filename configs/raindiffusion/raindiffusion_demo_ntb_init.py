# Remedy at laptop size: the generators of cyclegan_demo (train it before, same photographs) instead of untrained ones.
_base_ = 'raindiffusion_demo.py'
model = dict(
    generator=dict(
        _delete_=True,
        backbone=dict(type='ResNetGenerator', blocks=3, base_width=16, antialias=False),
        head=dict(type='PictureHead', kernel=3, padding='reflect', residual=True),
    )
)
load_from = 'work_dirs/cyclegan_demo/iter_2400.pth'
