# Table 2, Rain200L; `restorebox prepare-data rain200l` writes its folder.
_base_ = [
    '../_base_/models/raindiffusion.py',
    '../_base_/datasets/unpaired_from_pairs.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
root = dict(dataset=dict(data_root='data/rain200l'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
