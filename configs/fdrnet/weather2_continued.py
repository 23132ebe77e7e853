# Version 2 of the included model, trained on from the weights of weather2.py. The learning rate decays over the last
# third.
_base_ = 'weather2.py'
batch = _base_.batch
max_samples = 60_000 * batch  # steps x batch
warm_up = _base_.warm_up
decay = max_samples // 3
load_from = 'work_dirs/weather2.safetensors'
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 40)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=warm_up),
    dict(type='CosineAnnealingLR', begin=max_samples - decay, T_max=decay, end=max_samples, eta_min=1e-6),
]
