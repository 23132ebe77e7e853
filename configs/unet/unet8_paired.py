# unet5_paired.py with eight downsampling steps.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/paired_folder.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
model = dict(generator=dict(backbone=dict(levels=8)))
