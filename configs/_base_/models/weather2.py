# The network of version 2 of the included model. It reads statistics of the whole image, and contains the network of
# version 1: docs/studies/weather_start.py makes its initial weights.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(
            type='NAFUNet',
            widths=(32, 64, 128, 208),
            before=(3, 3, 4, 4),
            behind=(3, 3, 1),
            kinds=('residual', 'residual', 'fdr', 'naf'),
            scene=64,
        ),
        # no ReLU: features that become negative would get no gradient
        head=dict(type='SubPixelHead', residual=True, activation=False),
        channels_last=True,
    ),
    losses=dict(psnr=dict(type='PSNRLoss', weight=0.1)),
    statistics_window=None,
)
