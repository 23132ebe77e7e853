# Restormer with bias-free norms on SIDD-Small: the authors' denoising model, otherwise as restormer_gopro.py.
_base_ = [
    '../_base_/models/restormer.py',
    '../_base_/datasets/sidd_small.py',
    '../_base_/schedules/adamw_cosine.py',
]
model = dict(generator=dict(backbone=dict(centred=False)))
train_dataloader = dict(batch_size=_base_.batch)
