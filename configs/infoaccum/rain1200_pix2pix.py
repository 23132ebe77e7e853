# Table II, Rain1200 (deraining): pix2pix.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/rain1200.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
