# Haze, rain and noise of three levels, synthesised on clean images, data/clean/{train,test}/gt; tests are repeatable.
# A training crop carries the statistics of the window of 160 pixels from which it is cut.
load, rounded = dict(type='LoadPictures'), dict(type='RoundPicture')
cut = [load, dict(type='RandomWindow', size=160), dict(type='Flip')]
crop = [dict(type='SurveyScene'), dict(type='RandomWindow', size=64, roles=('lq', 'gt'))]
crop += [dict(type='Pack', roles=('lq', 'gt', 'scene'))]
both = [dict(type='Pack', roles=('lq', 'gt'))]
clean = dict(type='PairedPictures', data_root='data/clean', lq=None)
recipes = dict(haze='haze', rain=dict(type='LineRain'))
recipes.update((f'sigma{s}', dict(type='GaussianNoise', sigma=(s, s))) for s in (15, 25, 50))
damaged = dict((name, [dict(type='Degrade', recipe=recipe), rounded]) for name, recipe in recipes.items())
whole = dict(**clean, split='test', test_mode=True)

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='KeyedSampler', shuffle=True),
    dataset=dict(
        type='ConcatPictures',
        datasets=dict((name, dict(**clean, pipeline=[*cut, *rest, *crop])) for name, rest in damaged.items()),
        weights=dict(haze=3, rain=3, sigma15=1, sigma25=1, sigma50=1),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatPictures',
        datasets=dict((name, dict(**whole, pipeline=[load, *rest, *both])) for name, rest in damaged.items()),
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PictureScores', protocols=('psnr_rgb', 'ssim_rgb', 'psnr_y', 'ssim_y'))
test_evaluator = val_evaluator
