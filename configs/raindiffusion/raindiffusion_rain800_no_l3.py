# Table 3: without L3.
_base_ = 'raindiffusion_rain800.py'
model = dict(terms=('L1', 'L2', 'L4'))
