# Like WeatherDiffusion, paired: its network, crops, windows of 128 every 16 pixels. (Its loss sums, ours averages.)
_base_ = [
    '../_base_/models/diffusion.py',
    '../_base_/datasets/rain800.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
model = dict(sampling=dict(mode='overlap'))
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=128),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ]
    ),
)
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.999)))
