# Table II, SIDD-Small (denoising): + SubPixUpsamp.
_base_ = 'sidd_small_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
