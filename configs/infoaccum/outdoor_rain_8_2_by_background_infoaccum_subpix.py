# Table II, OutdoorRain-8-2, split by background: the honest number: + SubPixUpsamp.
_base_ = 'outdoor_rain_8_2_by_background_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
