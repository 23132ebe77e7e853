# DIV2K-hybrid: crops of 63x63 of 750 clean images in three sizes, with moderate blur, noise and JPEG; the 3,584
# moderate test patches of RL-Restore are fixed. For the other levels set split='test_mild' or 'test_severe'.
# Prepared by `restorebox prepare-data div2k_hybrid`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(data_root='data/div2k_hybrid')
crop = 63

train_dataloader = dict(
    dataset=dict(
        **root,
        lq=None,
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            dict(type='Flip', p=0.5, direction='vertical'),
            dict(type='Rotate90', p=0.5),
            dict(type='Degrade', recipe=dict(type='HybridDistortion', severity='moderate')),
            dict(type='Pack', roles=('lq', 'gt')),
        ],
    )
)
val_dataloader = dict(dataset=root)
test_dataloader = val_dataloader
