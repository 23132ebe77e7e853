# Table 6: 4 FD and FA layers per phase.
_base_ = 'did_hy_fdrnet.py'
model = dict(generator=dict(backbone=dict(layers=4)))
