# NAFNet of width 32 with the layout of the authors' GoPro model: 17.11 M parameters.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='NAFNet'),
        head=dict(type='PictureHead', residual=True, activation=False),
        channels_last=True,  # faster on a CPU: docs/studies/network_speed.py
    ),
    losses=dict(psnr=dict(type='PSNRLoss')),
    statistics_window=384,  # 1.5 times the training crop, as the authors test their GoPro model (TLC)
)
