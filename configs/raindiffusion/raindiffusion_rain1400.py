# Table 2, DDN-Data; `restorebox prepare-data rain1400` makes its folder.
_base_ = 'raindiffusion_paper.py'
root = dict(dataset=dict(data_root='data/rain1400'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
