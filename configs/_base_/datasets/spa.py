# SPA-Data: 28,500 training pairs (638,492 crops), 1,000 test pairs of real rain.
# Prepared by `restorebox prepare-data spa`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/spa'))
train_dataloader = root
val_dataloader = root
test_dataloader = root
