# Table 2, row F: both cycle contrastive losses, no location loss.
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lambda_lcl=0.0)
