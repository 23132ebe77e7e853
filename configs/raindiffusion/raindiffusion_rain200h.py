# Table 2, Rain200H; `restorebox prepare-data rain200h` makes its folder.
_base_ = 'raindiffusion_paper.py'
root = dict(dataset=dict(data_root='data/rain200h'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
