# Table 4: a network like SR3's, deep and narrow, and its random sampling.
_base_ = 'raindiffusion_rain800.py'
model = dict(
    denoiser=dict(
        _delete_=True,
        backbone=dict(type='DDPMUNet', base_width=64, multipliers=(1, 2, 4, 8, 8), blocks=2, attention=(4,)),
        head=dict(type='NoiseHead'),
    ),
    sampling=dict(sampler='ancestral', steps=100),
)
