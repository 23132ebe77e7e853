# Stage 1 without a network for the airlight: it is the colour of the brightest pixels of the dark channel.
_base_ = 'heavy_rain_outdoor_rain_stage1.py'
model = dict(physics=dict(backbone=dict(airlight='brightest')), physics_losses=dict(airlight=dict(_delete_=True)))
