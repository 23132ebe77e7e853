# CycleGAN: cycle L1, identity L1 at half its weight, least squares, plain networks, a pool of 50 pictures.
_base_ = 'cclgan.py'
model = dict(
    generator=dict(backbone=dict(antialias=False), init='normal'),
    discriminator=dict(backbone=dict(antialias=False), init='normal'),
    gan_mode='lsgan',
    lambda_lcl=0.0,
    lambda_intra=0.0,
    lambda_inter=0.0,
    lambda_idt=5.0,
    lambda_cycle=10.0,
    semantic_encoder=None,
    image_pool=50,
)
