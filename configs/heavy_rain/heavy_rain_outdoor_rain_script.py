# Stage 2 as in the authors' script: their network, VGG without ImageNet normalisation, learning rates 2e-3 and 2e-4,
# and a discriminator that is reinitialised every epoch.
_base_ = [
    '../_base_/models/heavy_rain_stage2.py',
    '../_base_/datasets/outdoor_rain_layers.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
model = dict(generator=dict(backbone=dict(cond='atm')), losses=dict(vgg=dict(normalise=False)))
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=2e-3)), generator=dict(optimizer=dict(lr=2e-4)))
custom_hooks = [dict(type='ResetRoleHook', role='discriminator', every_samples=_base_.epoch)]
