# Table 2: DnCNN with FDR-Net's training settings.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/did_hy.py',
    '../_base_/schedules/adam_fdrnet_crops.py',
]
model = dict(
    generator=dict(backbone=dict(_delete_=True, type='DnCNN', layers=20), head=dict(activation=True)),
    feature_losses=dict(_delete_=True),
)
train_dataloader = dict(batch_size=_base_.batch)
val_evaluator = dict(protocols=('psnr_owan', 'ssim_skimage', 'psnr_rgb', 'psnr_y'))
test_evaluator = val_evaluator
