# Rain1200 (DID-MDN): 12,000 training pairs in three densities, 1,200 test pairs, side by side.
# Prepared by `restorebox prepare-data rain1200`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/rain1200', pairing='side_by_side', order=('lq', 'gt')))
train_dataloader = root
val_dataloader = root
test_dataloader = root
