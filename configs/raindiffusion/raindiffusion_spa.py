# Table 2, SPA-Data; `restorebox prepare-data spa` makes its folder.
_base_ = 'raindiffusion_paper.py'
root = dict(dataset=dict(data_root='data/spa'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
