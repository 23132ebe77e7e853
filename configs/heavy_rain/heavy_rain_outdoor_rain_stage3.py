# Joint fine-tuning of all three networks at a tenth of the learning rate, from stage 2's last checkpoint.
_base_ = [
    '../_base_/models/heavy_rain.py',
    '../_base_/datasets/outdoor_rain_layers.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
max_samples = 10 * _base_.epoch
model = dict(stage=3)
train_cfg = dict(max_samples=max_samples)
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=2e-5)), generator=dict(optimizer=dict(lr=2e-5)))
