# CUT on CCLGAN's SPA subset, for its table: 200 epochs at constant learning rate, 200
# with linear decay to zero, as in the authors' training.
_base_ = [
    '../_base_/models/cut.py',
    '../_base_/datasets/cclgan_spa.py',
    '../_base_/schedules/adam_two_steps.py',
]
