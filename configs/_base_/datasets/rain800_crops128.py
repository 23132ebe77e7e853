# Rain800 for paired diffusion models: crops of 128, four per step.
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
