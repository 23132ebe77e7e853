"""Settings of the Runner that a config need not contain."""

import pytest
from mmengine.config import Config
from mmengine.hooks import LoggerHook

from restorebox.registry import RUNNERS
from tests.factories import write_pairs
from tests.processes import write_config


def runner_of(tmp_path, told):
    """Return a Runner of a config with or without the setting that nothing is counted in epochs."""
    root = tmp_path / 'data'
    write_pairs(root, 'train', 4)
    write_pairs(root, 'test', 2)
    cfg = Config.fromfile(write_config(tmp_path / 'c.py', root, samples=8))
    parts = (cfg.log_processor, cfg.default_hooks.logger, cfg.param_scheduler[0])
    for part, key in zip(parts, ('by_epoch', 'log_metric_by_epoch', 'by_epoch'), strict=True):
        part.pop(key, None)
        if told:
            part[key] = False
    cfg.work_dir = str(tmp_path / 'work')
    return RUNNERS.build(cfg)


def test_iterations_are_the_unit_with_and_without_by_epoch(tmp_path):
    rates = {}
    for told in (True, False):
        (tmp_path / str(told)).mkdir()
        runner = runner_of(tmp_path / str(told), told)
        assert runner.log_processor.by_epoch is False
        assert [hook.log_metric_by_epoch for hook in runner.hooks if isinstance(hook, LoggerHook)] == [False]
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner._train_loop = runner.build_train_loop(runner._train_loop)
        schedulers = runner.build_param_scheduler(runner.param_schedulers)
        rates[told] = []
        for _ in range(4):
            rates[told].append(runner.optim_wrapper.param_groups[0]['lr'])
            for each in schedulers:
                assert each.by_epoch is False
                each.step()
    assert rates[True] == rates[False]
    assert rates[True] == pytest.approx([1e-3, 8.536e-4, 5e-4, 1.464e-4], rel=1e-3)  # half a cosine over 4 steps
