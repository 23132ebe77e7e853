# Table I: stage 1 without a decomposition.
_base_ = 'heavy_rain_outdoor_rain_stage1.py'
model = dict(physics=dict(backbone=dict(guide='none')))
