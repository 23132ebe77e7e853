# Table 2, DDN-Data; `restorebox prepare-data rain1400` writes its folder.
_base_ = [
    '../_base_/models/raindiffusion.py',
    '../_base_/datasets/unpaired_from_pairs.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
root = dict(dataset=dict(data_root='data/rain1400'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
