# Stage 2 with attention in windows in place of the refinement U-Net, as the replication report proposes.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
model = dict(generator=dict(backbone=dict(_delete_=True, type='WindowUNet', base_width=32)))
