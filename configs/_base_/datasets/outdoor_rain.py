# Outdoor-Rain: 8,250 training pairs of rain and veil; val: 750 pairs of held-out backgrounds; test: Test 1, 750 pairs.
# Prepared by `restorebox prepare-data outdoor_rain`; docs/datasets.md says more.
_base_ = 'paired_folder.py'
root = dict(dataset=dict(data_root='data/outdoor_rain'))
train_dataloader = root
val_dataloader = dict(dataset=dict(data_root='data/outdoor_rain', split='val'))
test_dataloader = root
# protocols of outdoor_rain_layers.py, without layers
scores = ('psnr_y_full_u8', 'ssim_y', 'psnr_y', 'psnr_rgb')
val_evaluator = dict(type='PictureScores', protocols=scores)
test_evaluator = dict(type='PictureScores', protocols=(*scores, 'psnr_y_full_u8@448x672'))
