# Stage 1 on Outdoor-Rain: streaks, transmission and airlight, guided by the residue. Best row of Table I.
_base_ = [
    '../_base_/models/heavy_rain.py',
    '../_base_/datasets/outdoor_rain_layers.py',
    '../_base_/schedules/heavy_rain_stage1.py',
]
