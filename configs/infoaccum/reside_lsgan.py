# Table II, RESIDE, ITS to SOTS indoor (dehazing): + LSGAN.
_base_ = 'reside_pix2pix.py'
model = dict(gan_mode='lsgan')
