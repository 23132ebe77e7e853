# CycleGAN on CCLGAN's RainCityscapes subset, for its table.
_base_ = 'cyclegan_spa.py'
epoch = 1_400
root = dict(dataset=dict(data_root='data/cclgan_rain_cityscapes'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
train_cfg = dict(max_samples=200 * epoch, val_samples=10 * epoch)
decay = dict(begin=100 * epoch, end=200 * epoch)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch))
