# CycleGAN on the rain and veil of heavy_rain_demo_stage2.py, unpaired: half of the training images get rain, the others
# are the clean domain. As many samples as the two stages, on smaller crops: a baseline at laptop size.
_base_ = [
    '../_base_/models/cyclegan.py',
    '../_base_/datasets/clean_folder_heavy_rain_demo.py',
    '../_base_/schedules/adam_two_steps.py',
]
crop = 96
max_samples = 2 * 1_000 * _base_.batch  # stages x steps x batch
model = dict(
    generator=dict(backbone=dict(blocks=3, base_width=16), head=dict(kernel=3, residual=True), init=None),
    discriminator=dict(backbone=dict(base_width=16, halvings=2), init=None),
    statistics_window=crop,
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='UnpairedPictures',
        data_root='data/clean',
        split='train',
        lq=None,
        hq='gt',
        pipeline=[
            _base_.load,
            _base_.scene,
            _base_.flip,
            dict(type='Degrade', recipe='outdoor_rain', source='scene'),
            dict(type='RandomWindow', size=crop),
            dict(type='Pack', roles=('lq', 'hq')),
        ],
    )
)
faster = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=10))
optim_wrapper = dict(discriminator=faster, generator=faster)
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
decay = dict(begin=max_samples // 2, end=max_samples)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4, save_best='psnr_y'))
