# UNet-5 on clean images with synthesised line rain, trained with L1.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/clean_folder_line_rain.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
