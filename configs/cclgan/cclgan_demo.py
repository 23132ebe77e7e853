# CCLGAN at laptop size: narrower, 48-pixel crops, a residual generator initialised as the identity; discriminator and
# location weight differ from the authors' too (docs/results/unpaired_setting_1600.md). Rain is synthesised on half of
# your clean images, data/clean/{train,test}/gt; the other half is the clean domain. Not from the paper.
_base_ = [
    '../_base_/models/cclgan.py',
    '../_base_/datasets/clean_folder_demo_unpaired.py',
    '../_base_/schedules/adam_two_steps_demo.py',
]
model = dict(
    generator=dict(backbone=dict(blocks=3, base_width=16), head=dict(kernel=3, residual=True), init=None),
    # without anti-aliasing and with a smaller field a discriminator sees the streaks of a 48-pixel crop
    discriminator=dict(backbone=dict(base_width=16, halvings=2, antialias=False), init=None),
    lambda_lcl=0.5,  # with the authors' 2.0 the location loss outweighs the adversarial loss
    semantic_encoder=dict(_delete_=True, type='RandomConv'),  # random weights: needs neither a package nor a file
    statistics_window=_base_.crop,
)
activation_checkpointing = None  # small networks
