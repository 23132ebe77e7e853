# PromptIR: Restormer with prompts. statistics_window is the training crop.
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='PromptIR'),
        head=dict(type='PictureHead', residual=True, activation=False, bias=False),
    ),
    losses=dict(l1=dict(type='L1Loss')),
    statistics_window=128,
)
