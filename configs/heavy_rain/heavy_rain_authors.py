# What the authors' generator computes, to test their published weights: restorebox convert-weights heavy_rain.
# The airlight is that of the first 256x256 pixels, T is not limited to 1, and nothing is cut off.
_base_ = 'heavy_rain_outdoor_rain_stage2_atm.py'
model = dict(
    physics=dict(backbone=dict(airlight='first_window', clamp=False), head=dict(t_min=0.0, limits=None)),
)
