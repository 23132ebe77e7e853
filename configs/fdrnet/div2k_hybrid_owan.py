# Table 1: OWAN. Learning rate and cosine decay are its authors', the length is FDR-Net's.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/div2k_hybrid.py',
    '../_base_/schedules/adam_fdrnet.py',
]
model = dict(
    generator=dict(backbone=dict(_delete_=True, type='OWAN'), head=dict(residual=False)),
    feature_losses=dict(_delete_=True),
    statistics_window=_base_.crop,
)
train_dataloader = dict(batch_size=_base_.batch)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=30 * _base_.epoch)]
val_evaluator = dict(protocols=('psnr_owan', 'ssim_skimage', 'psnr_rgb', 'psnr_y'))
test_evaluator = val_evaluator
