# Clean photographs only, as in clean_folder_line_rain.py; streaks from sparse to dense.
_base_ = 'clean_folder_line_rain.py'
rain = dict(type='Degrade', recipe='light_rain')
pack = dict(type='Pack', roles=('lq', 'gt'))

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            rain,
            pack,
        ]
    )
)
val_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadPictures'), rain, dict(type='Pack', roles=('lq', 'gt'))]))
test_dataloader = val_dataloader
