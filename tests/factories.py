"""One small configuration of each registered component, for tests over all registered components.

A component is listed here if its constructor has no usable defaults, or if the defaults make it large. Others are built
with their defaults, so that a new component is tested without changes here.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from restorebox.registry import BACKBONES, HEADS, RESTORERS, constructor_keys

SMALL_UNET = dict(type='UNet', levels=2, base_width=4, max_width=8)

# name -> config overrides that make it small
SMALL_BACKBONES = {
    'UNet': dict(levels=3, base_width=4, max_width=8),
    'ResNetGenerator': dict(blocks=2, base_width=4),
    'PatchDiscriminator': dict(base_width=4),
    'EncoderDecoder': dict(levels=3, base_width=4, max_width=8),
    'DDN': dict(layers=6, width=4),
    'DnCNN': dict(layers=4, width=4),
    'OWAN': dict(channels=4, groups=2, layers=2, blocks=1),
    'FDRNet': dict(channels=4, phases=2, layers=2, process=1, aux=1),
    'FDRUNet': dict(widths=(4, 6, 8), blocks=(1, 1, 1)),
    'NAFUNet': dict(widths=(4, 6), before=(1, 1), behind=(1,), scene=8),
    'NAFNet': dict(width=4, before=(1, 1), middle=1, behind=(1, 1)),
    'Restormer': dict(width=4, blocks=(1, 2, 1), refinement=1, heads=(1, 2, 4)),
    'PromptIR': dict(
        width=4, blocks=(1, 1, 1), refinement=1, heads=(1, 2, 4), prompt_widths=(4, 6), prompt_sizes=(4, 2), prompts=2
    ),
    'PReNet': dict(width=4, stages=2, blocks=1),
    'GUNet': dict(width=4, blocks=(1, 1, 1)),
    'RainNet': dict(in_channels=3, base_width=4),
    'TransUNet': dict(in_channels=3, base_width=4),
    'PhysicsEstimator': dict(base_width=4),
    'MobileUNet': dict(widths=(4, 6), blocks=1),
    'RefUNet': dict(base_width=4),
    'DepthGuidedDiscriminator': dict(base_width=2),
    'WindowUNet': dict(base_width=16, levels=1, blocks=1),
    'DDPMUNet': dict(base_width=4, multipliers=(1, 2, 2), blocks=1, attention=(2,)),
    'ResNetEstimator': dict(base_width=4, depths=(1, 2), out_width=8),
    'VGGEstimator': dict(base_width=4, depths=(1, 2, 1), out_width=8),
    'NTBGenerator': dict(levels=2, base_width=4),
}
SMALL_BACKBONES['MultiScaleNoise'] = dict(
    inner=dict(type='DDPMUNet', **SMALL_BACKBONES['DDPMUNet']), scales=(1, 2), mask_width=4
)
SMALL_BACKBONES['SpandrelNetwork'] = dict(
    architecture='NAFNet', hyperparameters=dict(width=4, enc_blk_nums=[1], middle_blk_num=1, dec_blk_nums=[1])
)
SMALL_BACKBONES['Prompted'] = dict(
    inner=dict(type='NAFUNet', **SMALL_BACKBONES['NAFUNet']), taps=('down*', 'process'), prompts=2, width=4
)
SMALL_BACKBONES['SceneGated'] = dict(
    inner=dict(type='FDRUNet', **SMALL_BACKBONES['FDRUNet']), scene=8, tap='process', hidden=8
)
# what a backbone may read besides the picture -> one for a batch of so many
GIVEN = {
    'airlight': lambda count: torch.rand(count, 3, 1, 1),
    'scene': lambda count: torch.rand(count, 7, 32, 32),
    'timestep': lambda count: torch.arange(count),
}
SMALL_HEADS = {
    'PictureHead': dict(in_channels=4, scale=2),
    'RealnessHead': dict(in_channels=4, scale=8),
    'SubPixelHead': dict(in_channels=4, scale=2),
    'NoiseHead': dict(in_channels=4, scale=1),
    'IdentityHead': dict(in_channels=4, scale=1),
    'ProjectionHead': dict(channels=dict(conv1=4, conv2=6), width=8),
    'DenseRealnessHead': dict(in_channels=4, side=4, width=8),
    'PyramidRealnessHead': dict(in_channels=4, scale=8),
    'PhysicsHead': dict(),
    'GatedHead': dict(inner=dict(type='PictureHead'), in_channels=4, scale=2),
}
SMALL_RESTORERS = {
    'SupervisedRestorer': dict(
        generator=dict(backbone=SMALL_UNET, head=dict(type='PictureHead')), losses=dict(l1=dict(type='L1Loss'))
    )
}
SMALL_RESTORERS['SupervisedRestorer: losses of features'] = dict(
    SMALL_RESTORERS['SupervisedRestorer'],
    feature_losses=dict(svdo=dict(taps=('down*', 'up2'), loss=dict(type='SVDOLoss', weight=1e-5))),
)
SMALL_CYCLE = dict(
    generator=dict(
        backbone=dict(type='ResNetGenerator', blocks=2, base_width=4),
        head=dict(type='PictureHead', kernel=7, padding='reflect'),
        init='xavier',
    ),
    discriminator=dict(
        backbone=dict(type='PatchDiscriminator', halvings=2, base_width=4),
        head=dict(type='RealnessHead'),
        init='xavier',
    ),
    lcl_positions=12,
    inter_positions=12,
    semantic_encoder=dict(type='RandomConv', width=4),
)
NO_CONTRAST = dict(lambda_lcl=0.0, lambda_intra=0.0, lambda_inter=0.0, semantic_encoder=None)
# a restorer's other faces are walked as well: 'TYPE: what is different'
SMALL_RESTORERS['CycleRestorer'] = SMALL_CYCLE
SMALL_RESTORERS['CycleRestorer: inter trains D'] = dict(SMALL_CYCLE, inter_updates_d=True)
SMALL_RESTORERS['CycleRestorer: CycleGAN'] = dict(
    SMALL_CYCLE, **NO_CONTRAST, gan_mode='lsgan', lambda_idt=5.0, lambda_cycle=10.0, image_pool=50
)
SMALL_RESTORERS['CycleRestorer: CUT'] = dict(
    SMALL_CYCLE,
    **{**NO_CONTRAST, 'lambda_lcl': 2.0},
    directions=1,
    lambda_idt=0.0,
    lcl_pairs=(('fake_clean', 'rainy'), ('same_clean', 'clean')),
    lcl_taps=('input', 'down1', 'res2'),
)
SMALL_RESTORERS['AdversarialRestorer'] = dict(
    generator=SMALL_RESTORERS['SupervisedRestorer']['generator'],
    discriminator=dict(
        backbone=dict(type='PatchDiscriminator', halvings=2, base_width=4, in_channels=6, antialias=False),
        head=dict(type='RealnessHead'),
    ),
    losses=dict(l1=dict(type='L1Loss', weight=100.0)),
)
SMALL_RESTORERS['AdversarialRestorer: regression'] = dict(
    SMALL_RESTORERS['AdversarialRestorer'], discriminator=None, lambda_gan=0.0
)
SMALL_RESTORERS['HeavyRainPhysics'] = dict(
    physics=dict(backbone=dict(type='PhysicsEstimator', base_width=4), head=dict(type='PhysicsHead')),
    physics_losses=dict(
        streak=dict(mse=dict(type='MSELoss')),
        transmission=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss', weight=0.5)),
        airlight=dict(mse=dict(type='MSELoss')),
    ),
)
SMALL_RESTORERS['HeavyRainRestorer'] = dict(
    physics=SMALL_RESTORERS['HeavyRainPhysics']['physics'],
    generator=dict(backbone=dict(type='RefUNet', base_width=4), head=dict(type='PictureHead', kernel=1, last='relu')),
    discriminator=dict(
        backbone=dict(type='DepthGuidedDiscriminator', base_width=2),
        head=dict(type='DenseRealnessHead', side=4, width=8),
    ),
    losses=dict(mse=dict(type='MSELoss'), gradient=dict(type='GradientLoss')),
)
SMALL_RESTORERS['HeavyRainRestorer: jointly'] = dict(
    SMALL_RESTORERS['HeavyRainRestorer'], physics_losses=SMALL_RESTORERS['HeavyRainPhysics']['physics_losses']
)
SMALL_RESTORERS['HeavyRainRestorer: told and taught'] = dict(
    SMALL_RESTORERS['HeavyRainRestorer'],
    generator=dict(
        backbone=dict(type='MobileUNet', widths=(4, 6), blocks=1), head=dict(type='PictureHead', kernel=1, last='relu')
    ),
    depth_network=dict(
        backbone=dict(type='FDRUNet', widths=(4, 6), blocks=(1, 1)),
        head=dict(type='PictureHead', out_channels=1, last='relu'),
    ),
    teacher=SMALL_RESTORERS['HeavyRainRestorer']['generator'],
)
SMALL_RESTORERS['ToyGAN'] = dict(generator=SMALL_RESTORERS['SupervisedRestorer']['generator'])
SMALL_RESTORERS['DiffusionRestorer'] = dict(
    denoiser=dict(
        backbone=dict(type='DDPMUNet', **SMALL_BACKBONES['DDPMUNet']),
        head=dict(type='NoiseHead'),
    ),
    sampling=dict(steps=5, spacing='trailing', clip_x0=True),
)
SMALL_RESTORERS['DiffusionRestorer: x0 in windows'] = dict(
    SMALL_RESTORERS['DiffusionRestorer'],
    prediction='x0',
    sampling=dict(steps=5, eta=0.5, mode='overlap', window=16, window_stride=8, clip_x0=True),
)
SMALL_RESTORERS['PhysicsDiffusion'] = dict(
    SMALL_RESTORERS['DiffusionRestorer'], physics=SMALL_RESTORERS['HeavyRainPhysics']['physics']
)
SMALL_RESTORERS['RainDiffusion'] = dict(
    denoiser=dict(
        backbone=dict(type='MultiScaleNoise', **SMALL_BACKBONES['MultiScaleNoise']),
        head=dict(type='IdentityHead'),
    ),
    generator=dict(
        backbone=dict(type='NTBGenerator', **SMALL_BACKBONES['NTBGenerator']),
        head=dict(type='PictureHead', kernel=1),
    ),
    sampling=dict(steps=5, clip_x0=True),
)
for name, settings in {
    'L1 alone': dict(terms=('L1',), lambda_cyc=0.0),
    'no rain denoiser': dict(terms=('L1', 'L4')),
    'no clean cycle': dict(terms=('L1', 'L3', 'L4'), cycles=('rainy',)),
    'targets detached': dict(detach='target'),
    'all detached': dict(detach='all'),
    'generators held': dict(detach='all', lambda_cyc=0.0),
    'domain prior': dict(domain_prior=True, condition_dropout=0.5),
    'adversarial': dict(
        lambda_adv=1.0,
        discriminator=dict(
            backbone=dict(type='PatchDiscriminator', halvings=1, base_width=4),
            head=dict(type='RealnessHead'),
        ),
    ),
}.items():
    SMALL_RESTORERS[f'RainDiffusion: {name}'] = dict(SMALL_RESTORERS['RainDiffusion'], **settings)
NOT_RESTORERS = {'RestorationPreprocessor'}


def _own(registry) -> list[str]:
    registry.import_from_location()
    return sorted(name for name, cls in registry.module_dict.items() if cls.__module__.startswith('restorebox.'))


def _tests_own() -> list[str]:
    """Restorers of the tests: what the house promises and nothing in it uses yet (several optimisers)."""
    import tests.toy_gan  # noqa: F401 (registers itself)

    return ['ToyGAN']


def backbone_names() -> list[str]:
    """Every registered backbone."""
    return _own(BACKBONES)


def head_names() -> list[str]:
    """Every registered head."""
    return _own(HEADS)


def restorer_names() -> list[str]:
    """Every registered restorer."""
    names = [name for name in _own(RESTORERS) if name not in NOT_RESTORERS] + _tests_own()
    return names + [name for name in SMALL_RESTORERS if ':' in name]


def small_head(name: str) -> dict:
    """Config of a small head of that name, without its type; one that is not listed reads 4 channels of full size."""
    known, _ = constructor_keys(HEADS.get(name))
    defaults = dict(in_channels=4, scale=1)
    return SMALL_HEADS.get(name, {key: value for key, value in defaults.items() if key in known})


def head_features(name: str) -> dict[str, torch.Tensor]:
    """What a small head of that name reads: a map of 8x8, or vectors at 8 positions of each tap."""
    cfg = small_head(name)
    if 'channels' in cfg:
        return {tap: torch.rand(2, 8, count, requires_grad=True) for tap, count in cfg['channels'].items()}
    if name == 'PhysicsHead':
        shapes = {'streak': (2, 1, 8, 8), 'transmission': (2, 1, 8, 8), 'airlight': (2, 3, 1, 1)}
        return {tap: torch.rand(shape).mul(0.5).add(0.4).requires_grad_() for tap, shape in shapes.items()}
    out = {'out': torch.rand(2, cfg['in_channels'], 8, 8, requires_grad=True)}
    return out | {'gates': torch.rand(2, 2, 1, 1, requires_grad=True)} if name == 'GatedHead' else out


def small_backbone(name: str) -> torch.nn.Module:
    """A small backbone of that name."""
    return BACKBONES.build(dict(type=name, **SMALL_BACKBONES.get(name, {})))


def given_for(backbone: torch.nn.Module, count: int) -> dict[str, torch.Tensor]:
    """What a backbone reads besides a batch of ``count`` pictures."""
    means = {name: torch.rand(count, backbone.tap_channels[name], 1, 1) for name in backbone.needs.feature_means}
    return means | {name: GIVEN[name](count) for name in backbone.given if name not in means}


def gradient_reach(net: torch.nn.Module, x: torch.Tensor) -> int:
    """Return how many rows of the input reach one pixel of the output, at the worst alignment of that pixel.

    Args:
        net: network of backbone and head, without statistics of the picture and without negative weights.
        x: ``(1, C, S, S)`` float64, a multiple of the stride and more than twice the receptive field.
    """
    seen = 0
    for offset in range(net.needs.stride):  # the field of a pixel depends on where it lies in its stride
        at = x.shape[-1] // 2 + offset
        leaf = x.detach().clone().requires_grad_()
        grad = torch.autograd.grad(net(leaf)['picture'][0, 0, at, at], leaf)[0]
        rows = grad.abs().sum((0, 1, 3)).nonzero().flatten()
        seen = max(seen, int(rows.max() - rows.min()) + 1)
    return seen


def small_restorer(name: str) -> torch.nn.Module:
    """A small restorer of that name; one that is not listed has the network and losses of a supervised one."""
    _tests_own()
    cfg = SMALL_RESTORERS.get(name, SMALL_RESTORERS['SupervisedRestorer'])
    return RESTORERS.build(dict(type=name.split(':')[0], **cfg))


def random_inputs(restorer: torch.nn.Module, batch: int, size: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """A batch of the pictures that a restorer trains on, in [0, 1]."""
    rng = torch.Generator().manual_seed(seed)
    roles = (*restorer.picture_roles, *restorer.optional_roles)
    return {role: torch.rand(batch, 3, size, size, generator=rng) for role in roles}


def write_pairs(root: Path, split: str, count: int, size: tuple[int, int] = (40, 48), seed: int = 0) -> None:
    """Smooth pictures with dark noise over them, as ``root/split/{lq,gt}/NN.png``."""
    rng = np.random.default_rng([seed, len(split)])
    for role in ('lq', 'gt'):
        (root / split / role).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        small = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        gt = np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))
        lq = np.clip(gt + rng.normal(0, 25, gt.shape), 0, 255).astype(np.uint8)
        Image.fromarray(gt).save(root / split / 'gt' / f'{i:02d}.png')
        Image.fromarray(lq).save(root / split / 'lq' / f'{i:02d}.png')


def publish_small(folder: Path, model: dict | None = None, seed: int = 0) -> Path:
    """A small restorer with drawn weights as a published file, through ``restorebox publish``."""
    from restorebox.cli.publish import main
    from restorebox.engine.checkpoint import save_file

    model = model or dict(type='SupervisedRestorer', **SMALL_RESTORERS['SupervisedRestorer'])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = RESTORERS.build(model).state_dict()
    save_file({'state_dict': state, 'meta': {'cfg_json': json.dumps({'model': model})}}, folder / 'trained.pth')
    out = folder / 'published.safetensors'
    main([str(folder / 'trained.pth'), str(out), '--licence', 'CC0', '--limits', 'knows nothing'])
    return out
