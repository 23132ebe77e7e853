# Negative control: the generators start as those of cclgan_demo (train it before, on the same images). The objective
# as printed turns them into the identity within a hundred steps.
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
    )
)
load_from = 'work_dirs/cclgan_demo/iter_2400.pth'
