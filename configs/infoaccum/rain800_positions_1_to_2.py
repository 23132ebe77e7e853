# Fig 13: the module in front of levels 1 to 2 of the encoder.
_base_ = 'rain800_unet5_lsgan.py'
module = dict(type='InfoAccum', layers=15)
model = dict(generator=dict(backbone=dict(stems=dict(down1=module, down2=module))))
