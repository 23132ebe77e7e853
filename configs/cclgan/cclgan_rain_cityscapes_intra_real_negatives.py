# Table 3: intra loss with real negatives alone (no inter loss in that table).
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lambda_inter=0.0, intra_negatives='real')
