# Restormer on GoPro: AdamW, 300,000 steps, crops of 256 pixels in batches of 8. The authors' crops grow from 128 to 384
# pixels while the batch shrinks from 64 to 8.
_base_ = [
    '../_base_/models/restormer.py',
    '../_base_/datasets/gopro.py',
    '../_base_/schedules/adamw_cosine.py',
]
train_dataloader = dict(batch_size=_base_.batch)
