# Table 4: the network of WeatherDiffusion, without scales.
_base_ = 'raindiffusion_rain800.py'
model = dict(
    denoiser=dict(
        _delete_=True,
        backbone=dict(type='DDPMUNet', base_width=128, multipliers=(1, 1, 2, 3, 4), blocks=2, attention=(4,)),
        head=dict(type='NoiseHead'),
    )
)
