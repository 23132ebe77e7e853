# CUT on CCLGAN's RainCityscapes subset, for its table.
_base_ = [
    '../_base_/models/cut.py',
    '../_base_/datasets/cclgan_rain_cityscapes.py',
    '../_base_/schedules/adam_two_steps_1400.py',
]
