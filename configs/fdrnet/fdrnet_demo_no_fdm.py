# Table 5 at laptop size: residual blocks in the place of FD and FA layers, of nearly the same size.
_base_ = 'fdrnet_demo.py'
model = dict(generator=dict(backbone=dict(disentangle=False)), feature_losses=dict(_delete_=True))
