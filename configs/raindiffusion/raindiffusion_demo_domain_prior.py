# Remedy at laptop size: denoisers train on photographs only and guide the generators to their domains.
_base_ = [
    '../_base_/models/raindiffusion_demo.py',
    '../_base_/datasets/clean_folder_demo64_unpaired.py',
    '../_base_/schedules/adam_diffusion_demo.py',
]
model = dict(domain_prior=True, condition_dropout=0.15)
adam = _base_.optim_wrapper
optim_wrapper = dict(_delete_=True, constructor='RoleOptimWrapperConstructor', denoiser=adam, generator=adam)
