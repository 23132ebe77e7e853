# Stage 1 at laptop size, on clean images with synthesised rain and veil, data/clean/{train,test}/gt. Not from the
# paper. The rows 'input' and 'none' are the other variants of Table I.
_base_ = [
    '../_base_/models/heavy_rain_demo.py',
    '../_base_/datasets/clean_folder_heavy_rain_demo.py',
    '../_base_/schedules/heavy_rain_stage1.py',
]
max_samples = 1_000 * _base_.batch  # steps x batch
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
optim_wrapper = dict(physics=dict(type='AutocastOptimWrapper', emulate=False, optimizer=dict(lr=1e-3)))
param_scheduler = dict(physics=dict(step_size=max_samples // 4))
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
