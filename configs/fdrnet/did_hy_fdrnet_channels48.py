# Table 6: 48 channels.
_base_ = 'did_hy_fdrnet.py'
model = dict(generator=dict(backbone=dict(channels=48)))
