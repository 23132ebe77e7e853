# gUNet-T on RESIDE's indoor pictures: AdamW, crops of 256 pixels. The authors train 16.4 M samples in batches of 128
# with a warm-up, and with batch norm frozen at the end; this is the shorter schedule of Restormer.
_base_ = [
    '../_base_/models/gunet.py',
    '../_base_/datasets/reside_its.py',
    '../_base_/schedules/adamw_cosine.py',
]
train_dataloader = dict(batch_size=_base_.batch)
