# The network of the shipped model's second edition. It reads statistics of the whole picture.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(
            type='NAFUNet',
            widths=(48, 96, 144, 208),
            before=(2, 3, 4, 4),
            behind=(2, 3, 3),
            kinds=('residual', 'residual', 'naf', 'naf'),
            scene=64,
        ),
        # without a ReLU: features that drift below zero would be cut off for good
        head=dict(type='SubPixelHead', residual=True, activation=False),
        channels_last=True,
    ),
    losses=dict(charbonnier=dict(type='CharbonnierLoss')),
    statistics_window=None,
)
