# Table II, OutdoorRain-8-2, split by background: the honest number: + LSGAN.
_base_ = 'outdoor_rain_8_2_by_background_pix2pix.py'
model = dict(gan_mode='lsgan')
