# CycleGAN: cycle L1, identity L1 at half its weight, least squares, networks without anti-aliasing, pools of 50 images.
model = dict(
    type='CycleRestorer',
    generator=dict(
        backbone=dict(type='ResNetGenerator', blocks=9, base_width=64, antialias=False),
        head=dict(type='PictureHead', kernel=7, padding='reflect'),
        init='normal',
    ),
    discriminator=dict(
        backbone=dict(type='PatchDiscriminator', halvings=3, base_width=64, antialias=False),
        head=dict(type='RealnessHead'),
        init='normal',
    ),
    gan_mode='lsgan',
    lambda_lcl=0.0,
    lambda_intra=0.0,
    lambda_inter=0.0,
    lambda_idt=5.0,
    lambda_cycle=10.0,
    semantic_encoder=None,
    image_pool=50,
    statistics_window=256,  # the training crop
)
# activations are recomputed in the backward pass: half the memory, the same gradients, a fifth more time
activation_checkpointing = [f'*generator.backbone.{part}' for part in ('stem', 'halve.*', 'blocks.*', 'up.*')]
