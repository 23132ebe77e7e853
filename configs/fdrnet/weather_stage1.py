# First stage of the model that is shipped: rain from light to heavy, veil and haze, snow, noise, blur and JPEG, alone
# and mixed, over clean photographs, data/clean/{train,test}/gt, on the fly. Not a setting of the paper.
_base_ = [
    '../_base_/models/weather.py',
    '../_base_/datasets/clean_folder_weather.py',
    '../_base_/schedules/adam_weather.py',
]
train_dataloader = dict(batch_size=_base_.batch)
default_hooks = dict(checkpoint=dict(every_samples=_base_.max_samples // 28))
