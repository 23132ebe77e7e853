# Stage 2 told how far things are by a network of its own, in the place of 1 - T.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
model = dict(
    depth_network=dict(
        backbone=dict(type='FDRUNet', widths=(32, 64, 128), blocks=(1, 1, 2)),
        head=dict(type='PictureHead', out_channels=1, last='relu'),
    )
)
