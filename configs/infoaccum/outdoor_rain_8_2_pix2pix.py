# Table II, OutdoorRain-8-2, random split (rain and veil): pix2pix.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/outdoor_rain_8_2_random.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
