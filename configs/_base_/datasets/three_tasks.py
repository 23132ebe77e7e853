# Haze, rain and noise of three levels, as in AirNet and PromptIR: 142,431 crops of 128 an epoch; see docs/protocols.md.
# Prepared by `restorebox prepare-data` for reside_ots, rain100l and wed_bsd400.
crop = 128
load, pack, both = dict(type='LoadPictures'), dict(type='Pack'), dict(type='Pack', roles=('lq', 'gt'))
cut = [load, dict(type='RandomWindow', size=crop), dict(type='Flip')]
cut += [dict(type='Flip', direction='vertical'), dict(type='Rotate90')]
pairs = dict(type='PairedPictures', pipeline=[*cut, pack])
whole = dict(type='PairedPictures', split='test', test_mode=True, pipeline=[load, pack])
clean = dict(type='PairedPictures', data_root='data/wed_bsd400', lq=None)
noises = dict(
    (f'sigma{s}', dict(type='Degrade', recipe=dict(type='GaussianNoise', sigma=(s, s)))) for s in (15, 25, 50)
)
rounded = dict(type='RoundPicture')
noisy = dict((name, dict(**clean, pipeline=[*cut, noise, rounded, both])) for name, noise in noises.items())
test_clean = dict(**clean, split='test', test_mode=True)
noisy_tests = dict((name, dict(**test_clean, pipeline=[load, noise, rounded, both])) for name, noise in noises.items())
haze, rain = dict(data_root='data/reside_ots'), dict(data_root='data/rain100l')

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    sampler=dict(type='KeyedSampler', shuffle=True),
    dataset=dict(
        type='ConcatPictures',
        datasets=dict(haze=dict(**pairs, **haze), rain=dict(**pairs, **rain), **noisy),
        epochs=dict(haze=1, rain=120, sigma15=3, sigma25=3, sigma50=3),
    ),
)
test_sets = dict(haze=dict(**whole, **haze), rain=dict(**whole, **rain), **noisy_tests)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatPictures', datasets=test_sets),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PictureScores', protocols=('psnr_rgb', 'ssim_rgb', 'psnr_y', 'ssim_y'))
test_evaluator = val_evaluator
