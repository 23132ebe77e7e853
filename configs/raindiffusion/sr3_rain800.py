# Like SR3, paired: a deep narrow network, whole pictures, random sampling. SR3 reads a level of noise, this one a step.
_base_ = 'weatherdiffusion_rain800.py'
model = dict(
    denoiser=dict(backbone=dict(base_width=64, multipliers=(1, 2, 4, 8, 8))),
    sampling=dict(sampler='ancestral', steps=100, mode='whole'),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
