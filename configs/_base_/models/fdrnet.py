# FDR-Net, equations 3 to 8 of arXiv 2007.11430, with a layout that matches the published numbers of parameters.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='FDRNet', channels=32, phases=8, layers=3, process=5, aux=2, gain_start='pooled'),
        head=dict(type='PictureHead', residual=True, activation=False),
    ),
    losses=dict(l1=dict(type='L1Loss')),
    # 'raw' is the formula as printed in the paper; its magnitude depends on the crop size
    feature_losses=dict(svdo=dict(taps=('phase*_d*',), loss=dict(type='SVDOLoss', mode='unit', weight=1e-5))),
    statistics_window=256,  # the training crop
)
