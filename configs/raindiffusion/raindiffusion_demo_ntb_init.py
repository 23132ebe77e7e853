# Remedy at laptop size: the generators are those of cyclegan_demo (train it before, same photographs), and are held.
_base_ = 'raindiffusion_demo_ntb_start.py'
model = dict(detach='all', lambda_cyc=0.0)
