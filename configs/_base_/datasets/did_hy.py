# DID-HY: the pairs of DID-MDN, 12,000 and 1,200, whose rainy images also get moderate blur, noise and JPEG on the fly,
# fixed for each test image. Prepared by `restorebox prepare-data did_hy`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(data_root='data/did_hy', pairing='side_by_side', order=('lq', 'gt'))
worse = dict(type='Degrade', recipe=dict(type='HybridDistortion', severity='moderate'), source='lq', target='lq')
pack = dict(type='Pack', roles=('lq', 'gt'))

train_dataloader = dict(
    dataset=dict(
        **root,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=256),
            dict(type='Flip', p=0.5),
            worse,
            pack,
        ],
    )
)
val_dataloader = dict(dataset=dict(**root, pipeline=[dict(type='LoadPictures'), worse, pack]))
test_dataloader = val_dataloader
