# Joint fine-tuning of all three networks at a tenth of the learning rate, from stage 2's last checkpoint.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
epoch = 8_250
max_samples = 10 * epoch
model = dict(stage=3)
train_cfg = dict(max_samples=max_samples)
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=2e-5)), generator=dict(optimizer=dict(lr=2e-5)))
