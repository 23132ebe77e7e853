# Table II, RESIDE, ITS to SOTS indoor (dehazing): + SubPixUpsamp.
_base_ = 'reside_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
