# Training before raindiffusion_rain800_ntb_init.py: CycleGAN on the same crops, 200 epochs of 700.
_base_ = [
    '../_base_/models/cyclegan.py',
    '../_base_/datasets/unpaired_from_pairs.py',
    '../_base_/schedules/adam_two_steps.py',
]
train_dataloader = dict(batch_size=1)
model = dict(statistics_window=_base_.crop)
epoch = 700
train_cfg = dict(max_samples=200 * epoch, val_samples=10 * epoch)
decay = dict(begin=100 * epoch, end=200 * epoch)
param_scheduler = dict(discriminator=decay, generator=decay)
default_hooks = dict(checkpoint=dict(every_samples=10 * epoch, save_best='psnr_y'))
