# Table 3: FDR-Net on motion blur only.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/gopro.py',
    '../_base_/schedules/adam_fdrnet_crops.py',
]
train_dataloader = dict(batch_size=_base_.batch)
val_evaluator = dict(protocols=('psnr_rgb', 'ssim_skimage', 'psnr_y'))
test_evaluator = val_evaluator
default_hooks = dict(gain_variation=dict(type='GainVariationHook'))
