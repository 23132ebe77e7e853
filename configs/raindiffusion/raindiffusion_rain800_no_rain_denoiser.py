# Table 4, 'w/o DTB': no model that generates rain.
_base_ = 'raindiffusion_rain800.py'
model = dict(terms=('L1', 'L4'))
