# clean_folder_line_rain_unpaired.py at laptop size: two crops of 64 pixels per step.
_base_ = 'paired_folder.py'
crop = 64
load, pack = dict(type='LoadPictures'), dict(type='Pack', roles=('lq', 'hq'))
falls = dict(type='Degrade', recipe=dict(type='LineRain'))
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(
        _delete_=True,
        type='UnpairedPictures',
        data_root='data/clean',
        split='train',
        lq=None,
        hq='gt',
        pipeline=[
            load,
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            dict(**falls, source='scene'),
            pack,
        ],
    ),
)
pairs = dict(type='Pack', roles=('lq', 'gt'))
centre = dict(type='CentreWindow', size=128)  # validation during training only; tests use whole images
val_dataloader = dict(dataset=dict(data_root='data/clean', lq=None, pipeline=[load, centre, falls, pairs]))
test_dataloader = dict(dataset=dict(data_root='data/clean', lq=None, pipeline=[load, falls, pairs]))
