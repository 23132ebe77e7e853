# Full model of Tables 2, 5 and 6: FDR-Net on rain with blur, noise and JPEG.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/did_hy.py',
    '../_base_/schedules/adam_fdrnet_crops.py',
]
train_dataloader = dict(batch_size=_base_.batch)
val_evaluator = dict(protocols=('psnr_owan', 'ssim_skimage', 'psnr_rgb', 'psnr_y'))
test_evaluator = val_evaluator
default_hooks = dict(gain_variation=dict(type='GainVariationHook'))
