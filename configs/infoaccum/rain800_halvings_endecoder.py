# Table I, the same without skips: set model.generator.backbone.levels from 1 to 8.
_base_ = 'rain800_lsgan.py'
model = dict(generator=dict(backbone=dict(type='EncoderDecoder', levels=3)))
