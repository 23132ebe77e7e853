# Stage 2 as the authors' script runs it: their network, VGG without ImageNet's normalisation, learning rates of 2e-3
# and a tenth of it, and a discriminator that begins anew each epoch.
_base_ = 'heavy_rain_outdoor_rain_stage2_atm.py'
epoch = 8_250
model = dict(losses=dict(vgg=dict(normalise=False)))
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=2e-3)), generator=dict(optimizer=dict(lr=2e-4)))
custom_hooks = [dict(type='ResetRoleHook', role='discriminator', every_samples=epoch)]
