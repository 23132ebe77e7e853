# PReNet on Rain100H: 100 epochs, batch 18, crops of 100 pixels, learning rate x 0.2 at epochs 30, 50 and 80.
_base_ = [
    '../_base_/models/prenet.py',
    '../_base_/datasets/rain100h.py',
    '../_base_/schedules/adam_400k.py',
    '../_base_/default_runtime.py',
]
batch = 18
epoch = 120_000  # about the number of the authors' patches: stride 80 in 1,254 pictures, four times
train_dataloader = dict(
    batch_size=batch,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=100),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ]
    ),
)
train_cfg = dict(max_samples=100 * epoch, val_samples=epoch)
optim_wrapper = dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.999)))
param_scheduler = [dict(type='MultiStepLR', milestones=[30 * epoch, 50 * epoch, 80 * epoch], gamma=0.2)]
auto_scale_lr = dict(base_batch_size=batch)
default_hooks = dict(checkpoint=dict(every_samples=epoch), ema=None)
