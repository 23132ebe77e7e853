# Table 4: FDR-Net on rain (DID-MDN) only.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/rain1200.py',
    '../_base_/schedules/adam_fdrnet_crops.py',
]
train_dataloader = dict(batch_size=_base_.batch)
val_evaluator = dict(protocols=('psnr_rgb', 'ssim_skimage', 'psnr_y'))
test_evaluator = val_evaluator
default_hooks = dict(gain_variation=dict(type='GainVariationHook'))
