# Table III: EnDecoder-5 (the paper does not say how deep).
_base_ = 'reconstruct_unet8.py'
model = dict(generator=dict(backbone=dict(type='EncoderDecoder', levels=5)))
