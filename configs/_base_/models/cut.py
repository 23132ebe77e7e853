# CUT: one direction, PatchNCE of weight 1 between input and output and of weight 1 between a clean image and its
# translation, least squares.
model = dict(
    type='CycleRestorer',
    generator=dict(
        backbone=dict(type='ResNetGenerator', blocks=9, base_width=64, antialias=True),
        head=dict(type='PictureHead', kernel=7, padding='reflect'),
        init='xavier',
    ),
    discriminator=dict(
        backbone=dict(type='PatchDiscriminator', halvings=3, base_width=64, antialias=True),
        head=dict(type='RealnessHead'),
        init='xavier',
    ),
    directions=1,
    gan_mode='lsgan',
    lambda_lcl=2.0,  # 1 + 1: weight of the mean over the pairs
    lcl_pairs=(('fake_clean', 'rainy'), ('same_clean', 'clean')),
    lcl_taps=('input', 'down1', 'down2', 'res1', 'res5'),
    lambda_intra=0.0,
    lambda_inter=0.0,
    lambda_idt=0.0,
    semantic_encoder=None,
    statistics_window=256,  # the training crop
)
# activations are recomputed in the backward pass: half the memory, the same gradients, a fifth more time
activation_checkpointing = [f'*generator.backbone.{part}' for part in ('stem', 'halve.*', 'blocks.*', 'up.*')]
