# Stage 2 on Outdoor-Rain: input J0 and depth, airlight injected, with the depth-guided discriminator. It starts from
# stage 1's last checkpoint: restorebox train-stages, or --cfg-options load_from=...
_base_ = [
    '../_base_/models/heavy_rain_stage2.py',
    '../_base_/datasets/outdoor_rain_layers.py',
    '../_base_/schedules/heavy_rain_stage2.py',
]
