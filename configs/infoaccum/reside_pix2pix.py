# Table II, RESIDE, ITS to SOTS indoor (dehazing): pix2pix.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/reside_its.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
