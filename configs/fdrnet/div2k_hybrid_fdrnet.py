# Table 1, moderate: FDR-Net on windows of 63x63 with blur, noise and JPEG at once.
_base_ = [
    '../_base_/models/fdrnet.py',
    '../_base_/datasets/div2k_hybrid.py',
    '../_base_/schedules/adam_fdrnet.py',
]
crop = 63
model = dict(statistics_window=crop)
train_dataloader = dict(
    batch_size=_base_.batch,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            dict(type='Flip', p=0.5, direction='vertical'),
            dict(type='Rotate90', p=0.5),
            dict(type='Degrade', recipe=dict(type='HybridDistortion', severity='moderate')),
            dict(type='Pack', roles=('lq', 'gt')),
        ]
    ),
)
val_evaluator = dict(protocols=('psnr_owan', 'ssim_skimage', 'psnr_rgb', 'psnr_y'))
test_evaluator = val_evaluator
