# The network of version 2 of the included model. It reads statistics of the whole image.
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
        # no ReLU: features that become negative would get no gradient
        head=dict(type='SubPixelHead', residual=True, activation=False),
        channels_last=True,
    ),
    losses=dict(charbonnier=dict(type='CharbonnierLoss')),
    statistics_window=None,
)
