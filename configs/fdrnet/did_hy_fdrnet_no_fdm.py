# Table 5: three residual blocks per phase in the place of FD and FA layers, and nothing to be made orthogonal.
_base_ = 'did_hy_fdrnet.py'
model = dict(generator=dict(backbone=dict(disentangle=False)), feature_losses=dict(_delete_=True))
