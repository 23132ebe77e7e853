# Table II, Rain1200 (deraining): + SubPixUpsamp.
_base_ = 'rain1200_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
