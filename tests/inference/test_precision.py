"""bfloat16 where the hardware has it and the weights bear it."""

import json

import numpy as np
import pytest
import torch

from restorebox.cli.main import main
from restorebox.errors import ConfigError
from restorebox.inference import RestoreInferencer, known_models, precision
from restorebox.inference.precision import choose_precision
from tests.conftest import REPO

CPU = torch.device('cpu')


@pytest.mark.parametrize(
    ('requested', 'supported', 'native', 'chosen'),
    [
        ('auto', 'bf16', True, 'bf16'),
        ('auto', 'bf16', False, 'fp32'),
        ('auto', None, True, 'fp32'),
        ('bf16', None, False, 'bf16'),
        ('fp32', 'bf16', True, 'fp32'),
    ],
)
def test_who_decides(monkeypatch, requested, supported, native, chosen):
    monkeypatch.setattr(precision, 'has_bf16', lambda _: native)
    assert choose_precision(requested, supported, CPU) == chosen


def test_a_wrong_word_is_named(inferencer):
    with pytest.raises(ConfigError, match="no precision 'fp16'; did you mean"):
        choose_precision('fp16', None, CPU)


def test_pictures_come_out_alike(published, inferencer):
    half = RestoreInferencer(published, device='cpu', precision='bf16')
    assert (half.precision, inferencer.precision) == ('bf16', 'fp32')
    picture = np.random.default_rng(0).random((40, 52, 3), np.float32)
    a, b = inferencer(picture), half(picture)
    assert b.dtype == np.float32
    assert 0 < np.abs(a - b).max() < 0.1
    assert not torch.is_autocast_enabled('cpu')


def test_info_says_it(capsys):
    main(['info', 'weather'])
    assert 'bf16: used by restore on devices that support it' in capsys.readouterr().out


def test_what_the_metafile_says_has_been_measured():
    stored = json.loads((REPO / 'docs/results/restore_speed.json').read_text())
    assert stored['default']['precision'] == known_models()['weather'].precision
    assert stored['bf16_in_hardware']
