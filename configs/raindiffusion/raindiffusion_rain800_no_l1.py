# Table 3: without L1.
_base_ = 'raindiffusion_rain800.py'
model = dict(terms=('L2', 'L3', 'L4'))
