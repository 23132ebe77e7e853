# Restormer: 26.13 M parameters. statistics_window is the authors' largest training crop.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='Restormer'),
        head=dict(type='PictureHead', residual=True, activation=False, bias=False),
    ),
    losses=dict(l1=dict(type='L1Loss')),
    statistics_window=384,
)
