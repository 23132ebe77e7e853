# Remedy, not of the paper: denoisers train on photographs only and guide the generators to their
# domains.
_base_ = [
    '../_base_/models/raindiffusion.py',
    '../_base_/datasets/unpaired_from_pairs.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
model = dict(domain_prior=True, condition_dropout=0.15)
adam = _base_.optim_wrapper
optim_wrapper = dict(_delete_=True, constructor='RoleOptimWrapperConstructor', denoiser=adam, generator=adam)
