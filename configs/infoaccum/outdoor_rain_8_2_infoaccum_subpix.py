# Table II, OutdoorRain-8-2, random split (rain and veil): + SubPixUpsamp.
_base_ = 'outdoor_rain_8_2_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
