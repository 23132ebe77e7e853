# The training folders of a paired set, used unpaired: a clean picture is drawn anew for every rainy one; crops of 128,
# as RainDiffusion is trained. Tests are pairs.
_base_ = 'paired_folder.py'
crop = 128
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        _delete_=True,
        type='UnpairedPictures',
        data_root='data/paired',
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
