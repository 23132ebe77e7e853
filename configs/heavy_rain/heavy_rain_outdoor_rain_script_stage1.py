# Stage 1 as in the authors' script: learning rate 2e-3, 200 epochs, no flips, an optimiser that is reinitialised every
# 10 epochs.
_base_ = [
    '../_base_/models/heavy_rain.py',
    '../_base_/datasets/outdoor_rain_layers.py',
    '../_base_/schedules/heavy_rain_stage1.py',
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Degrade', source='lq', recipe=dict(type='GreyNoise', sigma=(1, 1))),
            dict(type='Pack'),
        ],
    )
)
train_cfg = dict(max_samples=200 * _base_.epoch)
optim_wrapper = dict(physics=dict(optimizer=dict(lr=2e-3)))
custom_hooks = [dict(type='ResetOptimiserHook', step='physics', every_samples=10 * _base_.epoch)]
