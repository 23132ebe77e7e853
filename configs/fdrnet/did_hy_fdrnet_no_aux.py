# Table 5: without the auxiliary branch and its fusion.
_base_ = 'did_hy_fdrnet.py'
model = dict(generator=dict(backbone=dict(aux=0)))
