# The included model, trained further on one's own clean images, data/clean/{train,test}/gt, with the degradations of
# weather.py. 3,000 steps: about 20 minutes on one CPU core. Page: docs/finetuning.md.
_base_ = 'weather.py'
batch = 4
max_samples = 3_000 * batch  # steps x batch
warm_up = 100 * batch
load_from = 'configs/fdrnet/weather.safetensors'
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 3)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=warm_up),
    dict(type='CosineAnnealingLR', begin=warm_up, T_max=max_samples - warm_up, end=max_samples, eta_min=1e-6),
]
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 3))
