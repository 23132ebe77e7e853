"""The check of semantic encoders at the start of a training."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from torch import nn

from restorebox.engine import provenance
from restorebox.errors import ConfigError, WeightsError
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
