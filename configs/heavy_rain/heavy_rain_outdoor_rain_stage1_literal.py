# Stage 1 with the seed's printed inversion, which leaves the streaks in the picture.
_base_ = 'heavy_rain_outdoor_rain_stage1.py'
model = dict(physics=dict(head=dict(subtract_streak=False)))
