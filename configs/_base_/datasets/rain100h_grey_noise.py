# Rain100H for heavy_rain: crops of 256x256, and grey noise of one grey level on the rainy images.
_base_ = 'paired_folder.py'
root = dict(data_root='data/rain100h')
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        **root,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            dict(type='Degrade', source='lq', recipe=dict(type='GreyNoise', sigma=(1, 1))),
            dict(type='Pack'),
        ],
    ),
)
val_dataloader = dict(dataset=root)
test_dataloader = val_dataloader
