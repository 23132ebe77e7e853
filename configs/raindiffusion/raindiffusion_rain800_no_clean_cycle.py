# Table 4, 'w/o NTB': no x'', and so no L2 and half of the cycle loss.
_base_ = 'raindiffusion_rain800.py'
model = dict(terms=('L1', 'L3', 'L4'), cycles=('rainy',))
