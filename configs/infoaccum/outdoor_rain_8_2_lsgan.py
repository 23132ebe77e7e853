# Table II, OutdoorRain-8-2, random split (rain and veil): + LSGAN.
_base_ = 'outdoor_rain_8_2_pix2pix.py'
model = dict(gan_mode='lsgan')
