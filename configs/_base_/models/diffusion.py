# WeatherDiffusion's U-Net for crops of 128, 85.6 M parameters, conditional.
model = dict(
    type='DiffusionRestorer',
    denoiser=dict(
        backbone=dict(
            type='DDPMUNet', in_channels=6, base_width=128, multipliers=(1, 1, 2, 3, 4), blocks=2, attention=(4,)
        ),
        head=dict(type='NoiseHead'),
    ),
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
