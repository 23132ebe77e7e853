# Stage 2 as in the authors' script: their network, VGG without ImageNet normalisation, 200 epochs, no flips; the
# discriminator's map is compared with the estimated T, as the training set has no known one here. The discriminator is
# reinitialised every epoch, the generator's optimiser every 10. Not as there: the adversarial gradient reaches the
# generator, and the two learning rates are not exchanged in the first 10 epochs.
_base_ = [
    '../_base_/models/heavy_rain_stage2.py',
    '../_base_/datasets/outdoor_rain_layers.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
model = dict(generator=dict(backbone=dict(cond='atm')), losses=dict(vgg=dict(normalise=False)))
train_dataloader = dict(
    dataset=dict(
        layers=(),
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Degrade', source='lq', recipe=dict(type='GreyNoise', sigma=(1, 1))),
            dict(type='Pack'),
        ],
    )
)
train_cfg = dict(max_samples=200 * _base_.epoch)
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=2e-3)), generator=dict(optimizer=dict(lr=2e-4)))
custom_hooks = [
    dict(type='ResetRoleHook', role='discriminator', every_samples=_base_.epoch),
    dict(type='ResetOptimiserHook', step='generator', every_samples=10 * _base_.epoch),
]
