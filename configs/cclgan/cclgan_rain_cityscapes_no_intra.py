# Table 2, row C, and the full row of Table 4: without the intra loss.
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lambda_intra=0.0)
