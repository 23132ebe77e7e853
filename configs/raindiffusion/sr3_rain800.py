# Like SR3, paired: a deep narrow network, whole images, random sampling. SR3 reads a noise level, this one a step.
_base_ = [
    '../_base_/models/diffusion.py',
    '../_base_/datasets/rain800_crops128.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
model = dict(
    denoiser=dict(backbone=dict(base_width=64, multipliers=(1, 2, 4, 8, 8))),
    sampling=dict(sampler='ancestral', steps=100, mode='whole'),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4, betas=(0.9, 0.999)))
