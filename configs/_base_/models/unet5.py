# UNet-5 with the papers' widths, trained with L1 to the clean image.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='UNet', levels=5, base_width=64, max_width=512, norm='instance', value_range=(-1, 1)),
        head=dict(type='PictureHead'),
    ),
    losses=dict(l1=dict(type='L1Loss')),
    statistics_window=256,  # the training crop
)
