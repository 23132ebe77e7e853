# The included model's network. Page: docs/weather.md.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='FDRUNet', widths=(32, 64, 128), blocks=(3, 3, 4)),
        # no ReLU: features that become negative would get no gradient
        head=dict(type='SubPixelHead', residual=True, activation=False),
        channels_last=True,
    ),
    losses=dict(charbonnier=dict(type='CharbonnierLoss')),
    statistics_window=128,  # the training crop
)
