# RainDiffusion to the letter, on Rain800, the set of its ablations. Expect a collapse: see the README.
_base_ = [
    '../_base_/models/raindiffusion.py',
    '../_base_/datasets/unpaired_from_pairs.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
root = dict(dataset=dict(data_root='data/rain800'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
