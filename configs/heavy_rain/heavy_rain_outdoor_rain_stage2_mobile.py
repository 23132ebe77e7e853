# Stage 2 with a light generator that is taught by a trained one: set load_from to heavy_rain_outdoor_rain_stage2's last
# checkpoint, whose generator becomes the teacher.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
model = dict(
    generator=dict(backbone=dict(_delete_=True, type='MobileUNet')),
    teacher=dict(
        backbone=dict(type='RefUNet', cond='both', base_width=64), head=dict(type='PictureHead', kernel=1, last='relu')
    ),
)
