"""Tiny models of the campaign: one that changes nothing, one that changes every pixel; and configs that run them."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import torch

from tests.conftest import REPO

BACKBONE = dict(type='UNet', levels=2, base_width=4, max_width=8, norm=None)
LOSSES = dict(l1=dict(type='L1Loss'))


def model(residual: bool) -> dict:
    """A restorer's config; ``residual`` and untrained it returns its input."""
    generator = dict(backbone=dict(BACKBONE), head=dict(type='PictureHead', residual=residual))
    return dict(type='SupervisedRestorer', generator=generator, losses=LOSSES, statistics_window=None)


CONFIG = """
_base_ = {base!r}
model = {model!r}
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='KeyedSampler', shuffle=True),
    dataset=dict(
        type='PairedPictures',
        data_root='data',
        split='train',
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=16),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PairedPictures',
        data_root='data',
        split='test',
        test_mode=True,
        bad_picture='skip',
        pipeline=[dict(type='LoadPictures'), dict(type='Pack')],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PictureScores', protocols=('psnr_y',))
test_evaluator = val_evaluator
train_cfg = dict(type='SampleTrainLoop', max_samples=8, val_samples=8)
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=8)]
auto_scale_lr = dict(enable=False, base_batch_size=2)
default_hooks = dict(logger=dict(interval=2), checkpoint=dict(every_samples=4, max_keep=2))
randomness = dict(seed=0)
"""


def write_config(path: Path, residual: bool) -> Path:
    """A config over ``data/{train,test}/{lq,gt}`` of the current folder."""
    base = str(REPO / 'configs' / '_base_' / 'default_runtime.py')
    path.write_text(CONFIG.format(base=base, model=model(residual)))
    return path


def write_models(folder: Path) -> None:
    """``nothing`` and ``change``, each as ``.pth`` of a training, published ``.safetensors`` and config ``.py``."""
    from restorebox.cli.publish import main
    from restorebox.engine.checkpoint import save_file
    from restorebox.registry import RESTORERS

    for name, residual in (('nothing', True), ('change', False)):
        torch.manual_seed(0)
        cfg = model(residual)
        state = RESTORERS.build(cfg).state_dict()
        meta = {'cfg_json': json.dumps({'model': cfg})}
        save_file({'state_dict': state, 'meta': meta}, folder / f'{name}.pth')
        with contextlib.redirect_stdout(io.StringIO()):
            main(
                [
                    str(folder / f'{name}.pth'),
                    str(folder / f'{name}.safetensors'),
                    '--licence',
                    'CC0',
                    '--limits',
                    'none',
                ]
            )
        write_config(folder / f'{name}.py', residual)
