# Table 1: DnCNN with FDR-Net's recipe.
_base_ = 'div2k_hybrid_fdrnet.py'
model = dict(
    generator=dict(backbone=dict(_delete_=True, type='DnCNN', layers=20), head=dict(activation=True)),
    feature_losses=dict(_delete_=True),
)
