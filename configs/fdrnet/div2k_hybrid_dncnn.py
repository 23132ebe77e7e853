# Table 1: DnCNN with FDR-Net's training settings.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/div2k_hybrid.py',
    '../_base_/schedules/adam_fdrnet.py',
]
model = dict(
    generator=dict(backbone=dict(_delete_=True, type='DnCNN', layers=20), head=dict(activation=True)),
    feature_losses=dict(_delete_=True),
    statistics_window=_base_.crop,
)
train_dataloader = dict(batch_size=_base_.batch)
val_evaluator = dict(protocols=('psnr_owan', 'ssim_skimage', 'psnr_rgb', 'psnr_y'))
test_evaluator = val_evaluator
