# Negative control: the generators learn from the cycle loss alone.
_base_ = 'raindiffusion_rain800.py'
model = dict(detach='all')
