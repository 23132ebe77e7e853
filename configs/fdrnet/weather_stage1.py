# First stage of the included model: rain from light to heavy, veil and haze, snow, noise, blur and JPEG, alone and
# mixed, synthesised on the fly on clean images, data/clean/{train,test}/gt. Not from the paper.
_base_ = [
    '../_base_/models/weather.py',
    '../_base_/datasets/clean_folder_weather.py',
    '../_base_/schedules/adam_weather.py',
]
train_dataloader = dict(batch_size=_base_.batch)
default_hooks = dict(checkpoint=dict(every_samples=_base_.max_samples // 28))
