# Fig 14: a plain dense module in the place of InfoAccum-15.
_base_ = 'rain800_unet5_lsgan.py'
model = dict(
    generator=dict(backbone=dict(stems=dict(down1=dict(type='InfoAccum', layers=15, growth=12, dilations=(1,)))))
)
