# Stage 2 without a map of depth: the generator makes a map of where to look itself.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
model = dict(generator=dict(backbone=dict(cond='attention')))
