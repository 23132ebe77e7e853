# Clean images as input and target, for reconstruction. The default is Rain800.
_base_ = 'paired_folder.py'
clean = dict(data_root='data/rain800', lq=None)
same = dict(type='CopyRole', source='gt', target='lq')
train_dataloader = dict(
    dataset=dict(
        **clean,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            same,
            dict(type='Pack'),
        ],
    )
)
val_dataloader = dict(dataset=dict(**clean, pipeline=[dict(type='LoadPictures'), same, dict(type='Pack')]))
test_dataloader = val_dataloader
