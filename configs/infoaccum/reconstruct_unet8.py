# Table III, the reconstruction probe: Rain800's clean pictures in and out, mean squared error, no discriminator.
_base_ = '../unet/unet8_paired.py'
clean = dict(data_root='data/rain800', lq=None)
same = dict(type='CopyRole', source='gt', target='lq')
epoch = 700
model = dict(losses=dict(_delete_=True, mse=dict(type='MSELoss')))
train_dataloader = dict(
    dataset=dict(
        **clean,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            same,
            dict(type='Pack'),
        ],
    )
)
val_dataloader = dict(dataset=dict(**clean, pipeline=[dict(type='LoadPictures'), same, dict(type='Pack')]))
test_dataloader = val_dataloader
train_cfg = dict(max_samples=200 * epoch, val_samples=10 * epoch)
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=1e-8, by_epoch=False, begin=100 * epoch, end=200 * epoch)
]
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch, save_best='psnr_rgb'), ema=None)
