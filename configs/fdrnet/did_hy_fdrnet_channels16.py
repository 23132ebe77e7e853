# Table 6: 16 channels.
_base_ = 'did_hy_fdrnet.py'
model = dict(generator=dict(backbone=dict(channels=16)))
