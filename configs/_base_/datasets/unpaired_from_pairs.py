# The training folders of a paired set, used unpaired: a random clean image for every rainy one; crops of 128, as in
# RainDiffusion's training. Tests use pairs. The default is Rain800.
_base_ = 'paired_folder.py'
crop = 128
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        _delete_=True,
        type='UnpairedPictures',
        data_root='data/rain800',
        split='train',
        lq='lq',
        hq='gt',
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ],
    ),
)
val_dataloader = dict(dataset=dict(data_root='data/rain800'))
test_dataloader = val_dataloader
