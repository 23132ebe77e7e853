# Stage 2 that is told the airlight but no depth: the authors' network.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
model = dict(generator=dict(backbone=dict(cond='atm')))
