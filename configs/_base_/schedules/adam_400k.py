# Adam as pix2pix uses it. Units: samples over all ranks, so 4 ranks x batch 1 need a quarter of the steps.
max_samples = 400_000
train_cfg = dict(type='SampleTrainLoop', max_samples=max_samples, val_samples=20_000)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
param_scheduler = [  # constant, then linear to zero in the second half
    dict(type='LinearLR', start_factor=1.0, end_factor=1e-8, begin=200_000, end=400_000)
]
auto_scale_lr = dict(enable=False, base_batch_size=1)
