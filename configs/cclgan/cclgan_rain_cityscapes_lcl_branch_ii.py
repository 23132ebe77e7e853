# Table 2, row B (our reading: the location loss in the branch that starts from clean pictures alone).
# Half of the pairs at the weight that each has among four.
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lambda_lcl=1.0, lcl_pairs=(('fake_rainy', 'clean'), ('rec_clean', 'fake_rainy')))
