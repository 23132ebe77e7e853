# RainDiffusion with the objective as it is printed. Card: raindiffusion, sections 2 to 4.
_base_ = 'diffusion.py'
model = dict(
    type='RainDiffusion',
    denoiser=dict(
        _delete_=True,
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
)
