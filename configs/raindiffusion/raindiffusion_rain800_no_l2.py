# Table 3: without L2.
_base_ = 'raindiffusion_rain800.py'
model = dict(terms=('L1', 'L3', 'L4'))
