# Clean photographs only, used unpaired: data/clean/{train,test}/gt. Of the training photographs every second one gets
# rain, the others are the clean side. Test pictures are those of the paired config: the same rain on every run.
_base_ = 'clean_folder_line_rain.py'
rain = dict(type='Degrade', recipe=dict(type='LineRain'), source='scene')

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
