# Table 4: inter loss with generated positives alone (no intra loss in that table).
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lambda_intra=0.0, inter_positives='fake')
