# heavy_rain_demo_residue.py with a decomposition that the picture itself guides.
_base_ = 'heavy_rain_demo_residue.py'
model = dict(physics=dict(backbone=dict(guide='input')))
