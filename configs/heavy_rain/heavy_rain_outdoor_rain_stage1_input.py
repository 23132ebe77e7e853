# Table I: stage 1 with a decomposition that the picture itself guides.
_base_ = 'heavy_rain_outdoor_rain_stage1.py'
model = dict(physics=dict(backbone=dict(guide='input')))
