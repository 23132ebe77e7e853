# DDN (Fu et al., CVPR 2017), with which the paper and its replication report compare: the network and loss of its
# authors, with the crops, optimiser and length of heavy rain's stage 1.
_base_ = [
    '../_base_/datasets/outdoor_rain.py',
    '../_base_/schedules/heavy_rain_stage1.py',
]
model = dict(
    type='SupervisedRestorer',
    generator=dict(backbone=dict(type='DDN'), head=dict(type='PictureHead', residual=True, activation=False)),
    losses=dict(mse=dict(type='MSELoss')),
)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = dict(_delete_=True, type='StepLR', step_size=10 * _base_.epoch, gamma=0.5)
