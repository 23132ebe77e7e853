# Table III at laptop size: EnDecoder-8.
_base_ = 'reconstruct_demo_unet8.py'
model = dict(generator=dict(backbone=dict(type='EncoderDecoder', levels=8)))
