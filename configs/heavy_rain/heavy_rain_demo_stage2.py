# Stage 2 of heavy_rain_demo_residue.py, starting from its last checkpoint. Not from the paper.
_base_ = [
    '../_base_/models/heavy_rain_stage2_demo.py',
    '../_base_/datasets/clean_folder_heavy_rain_demo.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
max_samples = 1_000 * _base_.batch  # steps x batch
train_cfg = dict(max_samples=max_samples, val_samples=max_samples // 4)
adam = dict(type='AutocastOptimWrapper', emulate=False, optimizer=dict(lr=1e-3))
optim_wrapper = dict(discriminator=adam, generator=adam)
halving = dict(step_size=max_samples // 4)
param_scheduler = dict(discriminator=halving, generator=halving)
default_hooks = dict(checkpoint=dict(every_samples=max_samples // 4))
