# Table 2, Rain200L; `restorebox prepare-data rain200l` makes its folder.
_base_ = 'raindiffusion_paper.py'
root = dict(dataset=dict(data_root='data/rain200l'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
