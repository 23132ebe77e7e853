# Fig 14: a attentive recurrent module in the place of InfoAccum-15.
_base_ = 'rain800_unet5_lsgan.py'
model = dict(generator=dict(backbone=dict(stems=dict(down1=dict(type='AttentiveRecurrent')))))
