# Stage 2 that is told the depth but no airlight: the replication report.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
model = dict(generator=dict(backbone=dict(cond='depth')))
