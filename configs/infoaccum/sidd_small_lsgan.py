# Table II, SIDD-Small (denoising): + LSGAN.
_base_ = 'sidd_small_pix2pix.py'
model = dict(gan_mode='lsgan')
