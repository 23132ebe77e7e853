"""Checks of semantic encoders at the start of a training, and of what a resumed training changes."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from restorebox.engine import provenance
from restorebox.engine.random_state import get_random_state, set_random_state
from restorebox.errors import CheckpointError, ConfigError, WeightsError
from restorebox.losses.perceptual import PerceptualLoss
from restorebox.losses.semantic import SemanticLoss

RANDOM = dict(type='RandomConv', width=4)
ABSENT = dict(type='VGG16Features', weights='absent.pth')


def runner(*encoders):
    losses = nn.ModuleList(SemanticLoss(encoder) for encoder in encoders)
    return SimpleNamespace(restorer=losses, logger=logging.getLogger('test_provenance'))


def test_encoders_are_logged(caplog):
    caplog.set_level(logging.INFO)
    provenance.check_encoders(runner(RANDOM))
    assert [record.getMessage() for record in caplog.records] == ['semantic encoder: RandomConv (width 4, seed 0)']
    caplog.clear()
    provenance.check_encoders(SimpleNamespace(restorer=nn.ModuleList([PerceptualLoss()])))
    assert not caplog.records


def test_scores_record_each_encoder_once_and_a_restorers_own_entries():
    model = runner(RANDOM, RANDOM, dict(RANDOM, seed=1)).restorer
    assert provenance.recorded(nn.Linear(1, 1)) == {}
    model.provenance = lambda: {'shift': 0.5}
    assert provenance.recorded(model) == {
        'semantic_encoder': 'RandomConv (width 4, seed 0); RandomConv (width 4, seed 1)',
        'shift': 0.5,
    }


CONFIG = {
    'model': {'type': 'A', 'generator': {'width': 4}, 'losses': {'l1': {'weight': 1.0}}},
    'train_dataloader': {'num_workers': 0, 'dataset': {'pipeline': [{'type': 'RandomWindow', 'size': 32}]}},
    'default_hooks': {'ema': {'type': 'RoleEMAHook'}, 'logger': {'interval': 5}},
    'train_cfg': {'max_samples': 40},
    'work_dir': 'a',
}


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda c: None, []),
        (lambda c: c['model']['losses']['l1'].update(weight=7), ['model.losses.l1.weight 1.0 -> 7']),
        (lambda c: c['default_hooks'].update(ema=None), ["default_hooks.ema.type 'RoleEMAHook' -> None"]),
        (
            lambda c: c['train_dataloader']['dataset']['pipeline'][0].update(size=8),
            ['train_dataloader.dataset.pipeline.0.size 32 -> 8'],
        ),
        # no change of the training, or another message names it
        (lambda c: (c.update(work_dir='b'), c['train_cfg'].update(max_samples=80)), []),
        (lambda c: (c['train_dataloader'].update(num_workers=2), c['default_hooks']['logger'].update(interval=1)), []),
        (lambda c: c['model']['generator'].update(width=8), []),
    ],
)
def test_settings_that_a_resumed_training_changes_are_named(change, expected):
    meta = {'cfg_json': json.dumps(CONFIG)}
    config = json.loads(meta['cfg_json'])
    change(config)
    run = SimpleNamespace(cfg=SimpleNamespace(to_dict=lambda: config))
    assert provenance.changed_settings(run, meta) == expected
    assert provenance.changed_settings(run, {}) == []
    assert provenance.changed_settings(run, {'cfg_json': '{'}) == []


@pytest.mark.parametrize('step', [-5, 10**9, '3', None, 1.5])
def test_a_step_that_the_run_does_not_have_is_refused(step):
    meta = {'iter': step, 'epoch': 0, 'total_batch': 2, 'max_samples': 40}
    run = SimpleNamespace(train_loop=SimpleNamespace(total_batch=2, max_samples=40))
    checkpoint = {'meta': meta, 'optimizer': {}, 'message_hub': {}}
    with pytest.raises(CheckpointError, match=r'a\.pth: is of step .* of a run of 40 samples, 2 a step; it is damaged'):
        provenance.check_resumable(run, checkpoint, 'a.pth')


@pytest.mark.parametrize(
    'state', [3, None, {}, {'torch': 1}, {'torch': torch.zeros(4, dtype=torch.uint8), 'cuda': None}]
)
def test_a_random_state_that_is_none_is_a_line(state):
    before = get_random_state()
    with pytest.raises(CheckpointError, match="random states of the checkpoint that is resumed can't be used"):
        set_random_state(state)
    set_random_state(before)


def test_an_encoder_without_weights_is_refused(monkeypatch):
    with pytest.raises(WeightsError, match=r'^weights file absent\.pth does not exist$'):
        provenance.check_encoders(runner(RANDOM, ABSENT))
    # the reason of another rank, so that no rank waits for one that has failed
    monkeypatch.setattr(provenance, 'all_gather_object', lambda own: [own, (['no file there'], '')])
    with pytest.raises(WeightsError, match=r'^rank 1: no file there$'):
        provenance.check_encoders(runner(RANDOM))


def test_ranks_with_different_encoders_are_refused(monkeypatch):
    monkeypatch.setattr(provenance, 'all_gather_object', lambda own: [own, ([], 'CLIPVisual (ViT-B-32.pt)')])
    chain = dict(type='FirstAvailable', encoders=[ABSENT, RANDOM])
    with pytest.raises(ConfigError, match=r'rank 0 RandomConv \(width 4.*, rank 1 CLIPVisual') as caught:
        provenance.check_encoders(runner(chain))
    assert '\n' not in str(caught.value)
