# Clean photographs only: data/clean/{train,test}/gt; line rain is drawn over them on the fly, at test always the same.
_base_ = 'paired_folder.py'
clean = dict(data_root='data/clean', lq=None)
rain = dict(type='Degrade', recipe=dict(type='LineRain'))

train_dataloader = dict(
    dataset=dict(
        **clean,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),  # before the rain falls, so that its slant is drawn alike both ways
            rain,
            dict(type='Pack', roles=('lq', 'gt')),
        ],
    )
)
val_dataloader = dict(
    dataset=dict(**clean, pipeline=[dict(type='LoadPictures'), rain, dict(type='Pack', roles=('lq', 'gt'))])
)
test_dataloader = val_dataloader
