# NAFNet of width 32 on SIDD with the layout of the authors' SIDD model: 29.16 M parameters. They train on all of SIDD,
# and test without TLC.
_base_ = 'nafnet_gopro.py'
root = dict(dataset=dict(data_root='data/sidd_small'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
model = dict(
    generator=dict(backbone=dict(before=(2, 2, 4, 8), middle=12, behind=(2, 2, 2, 2))),
    statistics_window=None,
)
optim_wrapper = dict(optimizer=dict(weight_decay=0.0))
