# Table 2, row D, and the full row of Table 3: without the inter loss.
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lambda_inter=0.0)
