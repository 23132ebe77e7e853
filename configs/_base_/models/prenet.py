# PReNet: 168,963 parameters, trained with the SSIM of its last stage.
model = dict(
    type='SupervisedRestorer',
    generator=dict(backbone=dict(type='PReNet'), head=dict(type='IdentityHead', output='picture')),
    losses=dict(ssim=dict(type='SSIMLoss')),
)
