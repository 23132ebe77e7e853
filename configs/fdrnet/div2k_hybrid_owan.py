# Table 1: OWAN. The rate and its cosine are those of its authors, the length is FDR-Net's.
_base_ = 'div2k_hybrid_fdrnet.py'
model = dict(
    generator=dict(backbone=dict(_delete_=True, type='OWAN'), head=dict(residual=False)),
    feature_losses=dict(_delete_=True),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, T_max=30 * _base_.epoch)]
