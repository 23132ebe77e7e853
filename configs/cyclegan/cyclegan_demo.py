# CycleGAN at the size, on the data and for the samples of cclgan_demo.
_base_ = '../cclgan/cclgan_demo.py'
model = dict(
    generator=dict(backbone=dict(antialias=False)),
    discriminator=dict(backbone=dict(antialias=False)),
    gan_mode='lsgan',
    lambda_lcl=0.0,
    lambda_intra=0.0,
    lambda_inter=0.0,
    lambda_idt=5.0,
    lambda_cycle=10.0,
    semantic_encoder=None,
    image_pool=50,
)
