# CycleGAN, with which the paper and its replication report compare: training pictures without their pairs, 60 epochs.
_base_ = [
    '../_base_/models/cyclegan.py',
    '../_base_/datasets/outdoor_rain.py',
    '../_base_/schedules/adam_two_steps.py',
]
epoch = 8_250
max_samples = 60 * epoch
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='UnpairedPictures',
        data_root='data/outdoor_rain',
        split='train',
        lq='lq',
        hq='gt',
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ],
    )
)
train_cfg = dict(max_samples=max_samples, val_samples=10 * epoch)
decay = dict(begin=max_samples // 2, end=max_samples)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch, save_best='psnr_y'))
