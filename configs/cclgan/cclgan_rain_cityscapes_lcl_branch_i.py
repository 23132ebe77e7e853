# Table 2, row A (our reading: the location loss in the branch that starts from rain alone).
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lcl_pairs=(('fake_clean', 'rainy'), ('rec_rainy', 'fake_clean')))
