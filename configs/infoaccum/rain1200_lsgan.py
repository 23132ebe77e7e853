# Table II, Rain1200 (deraining): + LSGAN.
_base_ = 'rain1200_pix2pix.py'
model = dict(gan_mode='lsgan')
