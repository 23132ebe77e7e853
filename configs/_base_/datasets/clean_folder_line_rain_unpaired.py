# Clean images only, used unpaired: data/clean/{train,test}/gt. Every second training image gets rain, the others are
# the clean domain. Test images are those of the paired config, with the same rain in every run.
_base_ = 'paired_folder.py'
rain = dict(type='Degrade', recipe=dict(type='LineRain'), source='scene')
falls = dict(type='Degrade', recipe=dict(type='LineRain'))

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='UnpairedPictures',
        data_root='data/clean',
        split='train',
        lq=None,
        hq='gt',
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            rain,
            dict(type='Pack', roles=('lq', 'hq')),
        ],
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root='data/clean',
        lq=None,
        pipeline=[dict(type='LoadPictures'), falls, dict(type='Pack', roles=('lq', 'gt'))],
    )
)
test_dataloader = val_dataloader
