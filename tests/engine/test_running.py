"""A config that is to be tested has lost its training part."""

import pytest

from restorebox.engine.config import load_config
from restorebox.engine.running import TRAINING_KEYS, VALIDATION_KEYS, keep_test
from restorebox.errors import ConfigError


def test_what_only_training_reads_goes():
    cfg = keep_test(load_config('configs/unet/unet5_paired.py'), 'unet5', 'weights.pth')
    assert all(cfg[key] is None for key in (*TRAINING_KEYS, *VALIDATION_KEYS))
    assert cfg.test_dataloader is not None
    assert (cfg.load_from, cfg.resume) == ('weights.pth', False)


def test_a_config_without_a_test_set_is_named():
    cfg = load_config('configs/unet/unet5_paired.py')
    cfg.test_dataloader = None
    with pytest.raises(ConfigError, match='config unet5: has no test_dataloader'):
        keep_test(cfg, 'unet5', 'weights.pth')
