# Table 6: 5 FD and FA layers per phase.
_base_ = 'did_hy_fdrnet.py'
model = dict(generator=dict(backbone=dict(layers=5)))
