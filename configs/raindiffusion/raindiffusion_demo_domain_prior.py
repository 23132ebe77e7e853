# Remedy at laptop size: denoisers learn from photographs alone, and pull the generators towards their domains.
_base_ = 'raindiffusion_demo.py'
model = dict(domain_prior=True, condition_dropout=0.15)
adam = _base_.optim_wrapper
optim_wrapper = dict(_delete_=True, constructor='RoleOptimWrapperConstructor', denoiser=adam, generator=adam)
