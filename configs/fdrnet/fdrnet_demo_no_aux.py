# Table 5 at laptop size: without the auxiliary branch and its fusion.
_base_ = 'fdrnet_demo.py'
model = dict(generator=dict(backbone=dict(aux=0)))
