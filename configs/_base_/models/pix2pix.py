# pix2pix: UNet-8, 70x70 patch discriminator on input and output, cross entropy, L1 weight 100.
model = dict(
    type='AdversarialRestorer',
    generator=dict(
        backbone=dict(type='UNet', levels=8, base_width=64, max_width=512, norm='instance', value_range=(-1, 1)),
        head=dict(type='PictureHead'),
    ),
    discriminator=dict(
        backbone=dict(type='PatchDiscriminator', halvings=3, in_channels=6, affine=True, antialias=False),
        head=dict(type='RealnessHead'),
    ),
    losses=dict(l1=dict(type='L1Loss', weight=100.0)),
    gan_mode='vanilla',
    statistics_window=256,  # the training crop
)
