# raindiffusion.py at laptop size. Departures from the paper besides the widths: the denoiser predicts the residual
# (prediction), whose gradient for the generators points to the identity (cosine 0.85; 0.05 with 'noise', as in the
# paper), two scales instead of three, and five clipped sampling steps at trailing spacing.
model = dict(
    type='RainDiffusion',
    denoiser=dict(
        backbone=dict(
            type='MultiScaleNoise',
            inner=dict(
                type='DDPMUNet', in_channels=6, base_width=16, multipliers=(1, 2, 2, 4), blocks=1, attention=(4,)
            ),
            scales=(1, 2),
            down_mode='area',
            mask_width=16,
        ),
        head=dict(type='IdentityHead'),
    ),
    generator=dict(
        backbone=dict(type='NTBGenerator', levels=3, base_width=16, max_width=512),
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
    prediction='residual',
    # needs no new training: can be overridden at test
    sampling=dict(
        sampler='ddim',
        steps=5,
        spacing='trailing',
        eta=0.0,
        clip_x0=True,
        mode='whole',
        window=128,
        window_stride=16,
        window_memory=4096,  # MiB
    ),
)
