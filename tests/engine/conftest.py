"""What tests of converted weights share."""

import importlib.util
import json

import numpy as np
import pytest
import torch


@pytest.fixture(scope='session')
def parity(shared):
    """Makes public state dicts and provides the outputs of the public networks."""
    spec = importlib.util.spec_from_file_location('deterministic', shared / 'parity' / 'deterministic.py')
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    keys = json.loads((shared / 'parity' / 'state_dict_keys.json').read_text())
    expected = np.load(shared / 'parity' / 'expected_seed23.npz')

    def state(name):
        return {
            k: torch.from_numpy(np.asarray(made.deterministic_array(k, tuple(s), 23))) for k, s in keys[name].items()
        }

    def picture(*shape):
        return torch.from_numpy(made.deterministic_image(shape, 23)) * 2 - 1

    return state, picture, expected
