# Like WeatherDiffusion, paired: its network, crops, windows of 128 every 16 pixels. (Loss: sum there, mean here.)
_base_ = [
    '../_base_/models/diffusion.py',
    '../_base_/datasets/rain800_crops128.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
model = dict(sampling=dict(mode='overlap'))
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.999)))
