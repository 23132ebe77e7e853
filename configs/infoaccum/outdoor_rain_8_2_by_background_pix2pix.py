# Table II, OutdoorRain-8-2, split by background, no background in both splits: pix2pix.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/outdoor_rain_8_2_by_background.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
