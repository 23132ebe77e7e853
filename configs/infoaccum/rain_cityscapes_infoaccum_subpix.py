# Table II, RainCityscapes (rain and fog): + SubPixUpsamp.
_base_ = 'rain_cityscapes_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
