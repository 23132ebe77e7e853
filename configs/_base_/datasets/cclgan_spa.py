# CCLGAN's subset of SPA-Data: 2,000 rainy training images, 200 test pairs.
# Prepared by `restorebox prepare-data cclgan_spa`; docs/datasets.md says more.
_base_ = 'unpaired_ab.py'
root = dict(dataset=dict(data_root='data/cclgan_spa'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
