# Table 4, 'w/o NTB*': no y'', and so no L4 and half of the cycle loss.
_base_ = 'raindiffusion_rain800.py'
model = dict(terms=('L1', 'L2', 'L3'), cycles=('clean',))
