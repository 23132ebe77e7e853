# RainDiffusion's objective to the letter at laptop size: light networks, crops of 64, rain drawn over half of your
# clean photographs, data/clean/{train,test}/gt; the other half is the clean side. In the log shift_rainy and
# shift_clean tell whether it collapses.
_base_ = [
    '../_base_/models/raindiffusion.py',
    '../_base_/datasets/clean_folder_line_rain_unpaired.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
batch, crop = 2, 64
max_samples = 1_200 * batch  # steps x batch
light = dict(base_width=16, multipliers=(1, 2, 2, 4), blocks=1, attention=(4,))
model = dict(
    denoiser=dict(backbone=dict(inner=light, scales=(1, 2), mask_width=16)),
    generator=dict(backbone=dict(levels=3, base_width=16)),
    prediction='residual',
    sampling=dict(steps=5, spacing='trailing', clip_x0=True),
)
load, pack = dict(type='LoadPictures'), dict(type='Pack', roles=('lq', 'hq'))
window = dict(type='RandomWindow', size=crop)
train_dataloader = dict(
    batch_size=batch,
    num_workers=1,
    dataset=dict(pipeline=[load, window, dict(type='Flip', p=0.5), _base_.rain, pack]),
)
centre = dict(type='CentreWindow', size=128)  # a look on the way; tests take whole pictures
falls = dict(type='Degrade', recipe=dict(type='LineRain'))
val_dataloader = dict(dataset=dict(pipeline=[load, centre, falls, dict(type='Pack', roles=('lq', 'gt'))]))
train_cfg = dict(max_samples=max_samples, val_samples=max_samples)
optim_wrapper = dict(type='AutocastOptimWrapper', emulate=False, optimizer=dict(lr=5e-4, betas=(0.9, 0.99)))
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
