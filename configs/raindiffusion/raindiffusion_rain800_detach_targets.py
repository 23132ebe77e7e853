# Control: no gradient through the pseudo targets of L2 and L4.
_base_ = 'raindiffusion_rain800.py'
model = dict(detach='target')
