# The authors' generator, to test their published weights: restorebox convert-weights heavy_rain.
# The airlight is that of the first 256x256 pixels, T may exceed 1, and J0 is not clamped.
_base_ = [
    '../_base_/models/heavy_rain_stage2.py',
    '../_base_/datasets/outdoor_rain_layers.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
model = dict(
    generator=dict(backbone=dict(cond='atm')),
    physics=dict(backbone=dict(airlight='first_window', clamp=False), head=dict(t_min=0.0, limits=None)),
)
