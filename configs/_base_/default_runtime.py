# Settings shared by all runs: logging, hooks, seed.
default_scope = 'restorebox'
runner_type = 'RestorationRunner'
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0, deterministic=False)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
log_processor = dict(type='LogProcessor', window_size=50, mean_pattern=r'.*(loss|total|time|grad_norm|colour|shift).*')
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='RestorationCheckpointHook', every_samples=20_000, max_keep=3, save_best='psnr_y'),
    # by name, so that a config can change or remove one (ema=None); a list would be replaced as a whole
    history=dict(type='CapHistoryHook'),
    ema=dict(type='RoleEMAHook', decay=0.999),
    sheets=dict(type='ComparisonSheetHook', pictures=6),
    curves=dict(type='TrainingCurveHook'),
    bad_pictures=dict(type='BadPictureHook'),
    scores=dict(type='ScoresHook'),
)
