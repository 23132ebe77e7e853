# Rain800 in crops of 128, four a step, as paired diffusion models are trained.
_base_ = 'paired_folder.py'
root = dict(data_root='data/rain800')
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        **root,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=128),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ],
    ),
)
val_dataloader = dict(dataset=root)
test_dataloader = val_dataloader
