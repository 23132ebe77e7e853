# Table 3: without the cycle loss.
_base_ = 'raindiffusion_rain800.py'
model = dict(lambda_cyc=0.0)
