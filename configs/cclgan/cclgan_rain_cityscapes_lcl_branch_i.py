# Table 2, row A (our reading: the location loss in the branch that starts from rain alone).
# Half of the pairs at the weight that each has among four.
_base_ = 'cclgan_rain_cityscapes.py'
model = dict(lambda_lcl=1.0, lcl_pairs=(('fake_clean', 'rainy'), ('rec_rainy', 'fake_clean')))
