# A diffusion model conditioned on J0 instead of stage 2; it starts from stage 1's last checkpoint (load_from). The
# network is for crops of 128, of which the schedule takes four per step, as in RainDiffusion.
_base_ = [
    '../_base_/models/diffusion.py',
    '../_base_/datasets/outdoor_rain.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
train_dataloader = dict(
    batch_size=_base_.batch,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=128),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ]
    ),
)
model = dict(
    type='PhysicsDiffusion',
    physics=dict(
        backbone=dict(type='PhysicsEstimator', guide='residue', base_width=64),
        head=dict(type='PhysicsHead', t_min=0.01, eps=1e-3),
    ),
)
