# RainDiffusion with the objective as printed in arXiv 2301.09430v3 (Algorithm 1, equations 12 to 15).
model = dict(
    type='RainDiffusion',
    denoiser=dict(
        backbone=dict(
            type='MultiScaleNoise',
            inner=dict(
                type='DDPMUNet', in_channels=6, base_width=128, multipliers=(1, 1, 2, 3, 4), blocks=2, attention=(4,)
            ),
            scales=(1, 2, 4),
            down_mode='area',
        ),
        head=dict(type='IdentityHead'),
    ),
    generator=dict(
        backbone=dict(type='NTBGenerator', levels=4, base_width=64, max_width=512),
        head=dict(type='PictureHead', kernel=1),
    ),
    terms=('L1', 'L2', 'L3', 'L4'),
    lambda_cyc=1.0,
    cycles=('clean', 'rainy'),
    detach='none',
    domain_prior=False,
    condition_dropout=0.0,
    schedule='linear',
    timesteps=1000,
    prediction='noise',
    # needs no new training: can be overridden at test
    sampling=dict(
        sampler='ddim',
        steps=25,
        spacing='leading',
        eta=0.0,
        clip_x0=False,
        mode='whole',
        window=128,
        window_stride=16,
        window_memory=4096,  # MiB
    ),
)
