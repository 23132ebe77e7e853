# Clean images only: data/clean/{train,test}/gt; synthesised snow.
_base_ = 'paired_folder.py'
clean = dict(data_root='data/clean', lq=None)
rain = dict(type='Degrade', recipe='snow')
pack = dict(type='Pack', roles=('lq', 'gt'))

train_dataloader = dict(
    dataset=dict(
        **clean,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            rain,
            pack,
        ],
    )
)
val_dataloader = dict(
    dataset=dict(**clean, pipeline=[dict(type='LoadPictures'), rain, dict(type='Pack', roles=('lq', 'gt'))])
)
test_dataloader = val_dataloader
