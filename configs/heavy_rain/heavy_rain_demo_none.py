# heavy_rain_demo_residue.py without a decomposition.
_base_ = 'heavy_rain_demo_residue.py'
model = dict(physics=dict(backbone=dict(guide='none')))
