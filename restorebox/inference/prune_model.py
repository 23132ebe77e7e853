"""Pruning of a model: rank channels, cut, fine-tune, score before and after, and measure the speed-up."""

from __future__ import annotations

import copy
import json
import statistics
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mmengine.config import Config

from restorebox.datasets.collate import collate_roles
from restorebox.datasets.sampler import KeyedSampler
from restorebox.engine.checkpoint import save_file, sha256
from restorebox.engine.config import model_of
from restorebox.engine.measuring import time_alternately
from restorebox.engine.running import keep_test, run_config
from restorebox.errors import ConfigError
from restorebox.files import json_bytes, write_whole
from restorebox.inference.models import load_model
from restorebox.inference.pruning import check_prunable, measure_importance, prune_network
from restorebox.inference.tiles import Tiler
from restorebox.metrics.scores import library_versions
from restorebox.registry import DATASETS, RESTORERS
from restorebox.restorers.base import BaseRestorer

SCORE = 'psnr_y'
RANKING_SAMPLES = 64  # training samples for the importance of channels
TIMING_PICTURES, TIMING_ROUNDS = 8, 3  # number of test pictures, and passes of each through both networks


def prune_model(cfg: Config, wide_cfg: Config, config: str, checkpoint: str, samples: int) -> tuple[dict, str]:
    """Remove channels of a model, fine-tune it, and measure the loss of quality and the speed-up.

    Args:
        cfg: config of the narrow model, with its ``work_dir`` and the ``overrides`` of widths.
        wide_cfg: config of the original model, to score it.
        config: name of the config.
        checkpoint: weights of the wide model.
        samples: number of training samples for fine-tuning; 0 for none.

    Returns:
        The report, also written to the work directory as ``pruned.json``, and the path of the checkpoint.

    Raises:
        ConfigError: the work directory is not empty, the config can't be pruned or lacks a data set, or see
            :func:`~restorebox.inference.pruning.check_prunable`.
        CheckpointError, DataError, MissingPackageError: weights, data or torch-pruning are missing.
    """
    work_dir = Path(cfg.work_dir)
    _check(cfg, config, work_dir)
    wide = load_model(config, checkpoint)
    narrow = RESTORERS.build(cfg.model).eval()
    network, small = wide.role('generator'), narrow.role('generator')
    check_prunable(network, small)
    importance = measure_importance(wide, ranking_samples(cfg))
    small.load_state_dict(prune_network(network, small, importance))
    work_dir.mkdir(parents=True, exist_ok=True)
    cut = work_dir / 'cut.pth'
    save_file({'meta': {'cfg_json': json.dumps(cfg.to_dict(), default=str)}, 'state_dict': narrow.state_dict()}, cut)

    def scores_of(own: Config, weights: str, name: str) -> dict:
        """Test a checkpoint and return its scores."""
        own = keep_test(copy.deepcopy(own), config, weights)
        own.work_dir = str(work_dir / name)
        run_config(own, 'test')
        return json.loads((work_dir / name / 'scores.json').read_bytes())

    last = str(cut)
    scores = {'before': scores_of(wide_cfg, checkpoint, 'before'), 'cut': scores_of(cfg, last, 'cut')}
    if samples:
        last = _train(copy.deepcopy(cfg), cut, samples)
        scores['trained'] = scores_of(cfg, last, 'trained')
    report = {
        'config': config,
        'widths': dict(cfg.overrides),
        'ranked_on': RANKING_SAMPLES,
        'samples': samples,
        'source_sha256': sha256(checkpoint),
        'checkpoint': {
            'path': str(Path(last).resolve().relative_to(work_dir.resolve())),
            'sha256': sha256(last),
        },  # beside this file
        'weights': [sum(p.numel() for p in each.role('generator').parameters()) for each in (wide, narrow)],
        SCORE: {name: each['mean'][SCORE] for name, each in scores.items()},
        'input': scores['before']['mean'][f'input/{SCORE}'],
        'pictures': scores['before']['count'],
        'cost_db': scores['before']['mean'][SCORE] - scores[list(scores)[-1]]['mean'][SCORE],
        **_times(cfg, wide, narrow),
        'libraries': library_versions(),
    }
    write_whole(work_dir / 'pruned.json', json_bytes(report))
    return report, last


def _check(cfg: Config, config: str, work_dir: Path) -> None:
    if work_dir.exists() and any(work_dir.iterdir()):
        raise ConfigError(f'prune: {work_dir} is not empty; give another --work-dir')
    kind = model_of(cfg, config).get('type')
    if kind != 'SupervisedRestorer':
        raise ConfigError(f'prune: {config} trains a {kind}; only a SupervisedRestorer is pruned')
    for key, reason in (('train', 'no channel could be ranked'), ('test', 'the cost would not be known')):
        if cfg.get(f'{key}_dataloader') is None:
            raise ConfigError(f'prune: {config} has no {key}_dataloader, so that {reason}')


def ranking_samples(cfg: Config) -> Iterator[dict]:
    """Yield ``RANKING_SAMPLES`` batches of one sample from the training set."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    for key in islice(iter(KeyedSampler(dataset)), RANKING_SAMPLES):
        yield collate_roles([dataset[key]])


def _train(cfg: Config, cut: Path, samples: int) -> str:
    """Fine-tune the narrow network; returns the path of its checkpoint."""
    cfg.train_cfg.max_samples = cfg.train_cfg.val_samples = samples
    cfg.default_hooks.checkpoint.every_samples = samples
    cfg.param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, T_max=samples, end=samples, eta_min=1e-6)]
    cfg.load_from, cfg.resume, cfg.work_dir = str(cut), False, str(cut.parent / 'training')
    return str(run_config(cfg, 'train').last_checkpoint())


def _times(cfg: Config, wide: BaseRestorer, narrow: BaseRestorer) -> dict:
    """Measure seconds per picture of both networks, alternating, on whole pictures of the test set."""
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    pictures = [dataset[i]['inputs']['lq'] for i in range(min(TIMING_PICTURES, len(dataset)))]
    pictures = [picture.permute(1, 2, 0).contiguous().numpy() for picture in pictures]
    took = time_alternately([Tiler(net, 1e6) for net in (wide, narrow)], pictures, TIMING_ROUNDS)
    return {
        'seconds': [statistics.median(each) for each in zip(*took, strict=True)],
        'gain': 1 / statistics.median(fast / slow for slow, fast in took),
        'timed': len(pictures),
    }
