# Clean images only: data/clean/{train,test}/gt; line rain is synthesised on the fly, fixed for each test image.
_base_ = 'paired_folder.py'
clean = dict(data_root='data/clean', lq=None)
rain = dict(type='Degrade', recipe=dict(type='LineRain'))

train_dataloader = dict(
    dataset=dict(
        **clean,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),  # before the rain, so that flips do not change the distribution of its angle
            rain,
            dict(type='Pack', roles=('lq', 'gt')),
        ],
    )
)
val_dataloader = dict(
    dataset=dict(**clean, pipeline=[dict(type='LoadPictures'), rain, dict(type='Pack', roles=('lq', 'gt'))])
)
test_dataloader = val_dataloader
