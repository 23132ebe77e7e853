# CCLGAN with the weights and networks of its authors' code.
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
    gan_mode='hinge',
    lambda_lcl=2.0,
    lambda_intra=1.0,
    lambda_inter=0.005,
    lambda_idt=1.0,
    # the first whose weights are on this machine; the log and every score record it; without any, no training
    semantic_encoder=dict(
        type='FirstAvailable',
        encoders=[dict(type='CLIPVisual'), dict(type='EfficientNetLite'), dict(type='VGG16Features')],
    ),
    statistics_window=256,  # the training crop
)
# activations are recomputed in the backward pass: half the memory, the same gradients, a fifth more time
activation_checkpointing = [f'*generator.backbone.{part}' for part in ('stem', 'halve.*', 'blocks.*', 'up.*')]
