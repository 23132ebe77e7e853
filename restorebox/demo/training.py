"""Second part of the demo: training and test of a small network from scratch."""

from __future__ import annotations

import json
from pathlib import Path

from mmengine.config import Config

from restorebox.engine.config import load_config, set_data_root
from restorebox.engine.running import keep_test, run_config

CONFIG = 'configs/unet/unet_demo.py'


def train_small(work_dir: Path, samples: int | None = None) -> dict:
    """Train on ``work_dir/data`` and test; logs, curves, sheets and ``scores.json`` are written to ``work_dir``.

    Args:
        work_dir: work directory.
        samples: number of training crops; None for the config's.

    Returns:
        The scores.

    Raises:
        DataError: the scores are not those of the whole test set.
    """

    def config() -> Config:
        cfg = load_config(CONFIG)
        set_data_root(cfg, str(work_dir / 'data'))
        cfg.work_dir, cfg.launcher, cfg.overrides = str(work_dir), 'none', {}
        return cfg

    cfg = config()
    if samples:
        cfg.train_cfg.max_samples = samples
        cfg.overrides = {'train_cfg.max_samples': samples}
    trained = run_config(cfg, 'train').last_checkpoint()
    run_config(keep_test(config(), CONFIG, str(trained)), 'test')
    return json.loads((work_dir / 'scores.json').read_bytes())
