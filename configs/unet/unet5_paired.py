# UNet-5 on pairs in folders, trained with L1.
_base_ = [
    '../_base_/models/unet5.py',
    '../_base_/datasets/paired_folder.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
