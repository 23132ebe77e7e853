# Table II, Rain800 (deraining): + SubPixUpsamp.
_base_ = 'rain800_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
