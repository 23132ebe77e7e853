# gUNet-T. statistics_window is the training crop.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='GUNet'),
        head=dict(type='PictureHead', residual=True, activation=False, padding='reflect'),
    ),
    losses=dict(l1=dict(type='L1Loss')),
    statistics_window=256,
)
