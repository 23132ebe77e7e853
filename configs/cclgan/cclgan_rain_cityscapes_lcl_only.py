# Table 2, row E: the location loss alone.
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lambda_intra=0.0, lambda_inter=0.0)
