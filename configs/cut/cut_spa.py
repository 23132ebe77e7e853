# CUT on CCLGAN's SPA subset, for its table: 200 epochs constant, 200 to zero, as its authors train it.
_base_ = [
    '../_base_/models/cut.py',
    '../_base_/datasets/cclgan_spa.py',
    '../_base_/schedules/adam_two_steps.py',
]
