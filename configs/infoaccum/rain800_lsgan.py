# Table II, Rain800 (deraining): + LSGAN.
_base_ = 'rain800_pix2pix.py'
model = dict(gan_mode='lsgan')
