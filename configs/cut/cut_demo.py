# CUT with the size, data, discriminator and number of samples of cclgan_demo.
_base_ = [
    '../_base_/models/cut.py',
    '../_base_/datasets/clean_folder_demo_unpaired.py',
    '../_base_/schedules/adam_two_steps_demo.py',
]
model = dict(
    generator=dict(backbone=dict(blocks=3, base_width=16), head=dict(kernel=3, residual=True), init=None),
    discriminator=dict(backbone=dict(base_width=16, halvings=2, antialias=False), init=None),
    lcl_taps=('input', 'down1', 'down2', 'res1', 'res3'),
    statistics_window=_base_.crop,
)
activation_checkpointing = None  # small networks
