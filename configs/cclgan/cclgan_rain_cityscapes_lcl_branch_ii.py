# Table 2, row B (our reading: the location loss in the branch that starts from clean pictures alone).
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lcl_pairs=(('fake_rainy', 'clean'), ('rec_clean', 'fake_rainy')))
