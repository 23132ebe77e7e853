# FDR-Net in the layout whose sizes match the published ones. Card: fdrnet, sections 2 and 3.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='FDRNet', channels=32, phases=8, layers=3, process=5, aux=2),
        head=dict(type='PictureHead', residual=True, activation=False),
    ),
    losses=dict(l1=dict(type='L1Loss')),
    # 'raw' is the paper's formula to the letter; its size depends on that of the crop
    feature_losses=dict(svdo=dict(taps=('phase*_d*',), loss=dict(type='SVDOLoss', mode='unit', weight=1e-5))),
    statistics_window=256,  # the training crop
)
