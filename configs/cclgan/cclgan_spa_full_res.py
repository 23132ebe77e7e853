# cclgan_spa scored at the pictures' own size, the honest second number; training is the same.
_base_ = 'cclgan_spa.py'
whole = dict(dataset=dict(pipeline=[dict(type='LoadPictures'), dict(type='Pack')]))
val_dataloader = whole
test_dataloader = whole
val_evaluator = dict(protocols=('psnr_y', 'ssim_y', 'psnr_y@256', 'ssim_y@256'))
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='psnr_y'))
