# Table 1, moderate: FDR-Net on crops of 63x63 with blur, noise and JPEG combined.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/div2k_hybrid.py',
    '../_base_/schedules/adam_fdrnet.py',
]
model = dict(statistics_window=_base_.crop)
train_dataloader = dict(batch_size=_base_.batch)
val_evaluator = dict(protocols=('psnr_owan', 'ssim_skimage', 'psnr_rgb', 'psnr_y'))
test_evaluator = val_evaluator
default_hooks = dict(gain_variation=dict(type='GainVariationHook'))
