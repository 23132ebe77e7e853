# Table II, RainCityscapes (rain and fog): + LSGAN.
_base_ = 'rain_cityscapes_pix2pix.py'
model = dict(gan_mode='lsgan')
