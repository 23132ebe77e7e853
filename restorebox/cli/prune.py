"""Make a model faster by taking channels out of it, then train it a little, and say what it cost and gained.

--cfg-options names the smaller widths; of each layer those channels stay that the training loss would miss most. The
test set of the config scores the model before, the narrow one as it was cut, and the narrow one as it was trained.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from restorebox.cli.common import add_config_options, prepare, run_runner
from restorebox.errors import ConfigError
from restorebox.files import json_bytes, write_whole

if TYPE_CHECKING:
    from restorebox.restorers.base import BaseRestorer

SCORE = 'psnr_y'
RANKED = 64  # training samples that say which channels stay
TIMED, ROUNDS = 8, 3  # pictures of the test set, and how often each goes through both networks in turn


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``prune``."""
    parser = argparse.ArgumentParser(prog='restorebox prune', description=__doc__)
    parser.add_argument('config', help='a config file, its path below configs/, or the name of a model with weights')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='its weights: a training checkpoint or a published file; not for the name of a model',
    )
    parser.add_argument(
        '--samples',
        type=int,
        required=True,
        help='to train the narrow network on, at a falling learning rate; 0 to see what cutting alone does',
    )
    add_config_options(parser, work_dir='work_dirs/CONFIG_pruned')
    args = parser.parse_args(argv)
    if args.samples < 0:
        parser.error(f'--samples {args.samples}: it must be 0 or more')
    if args.launcher != 'none':
        parser.error('--launcher: prune runs in one process; train the narrow network further with `restorebox train`')
    return args


def main(argv: list[str]) -> None:
    """Cut, train, score, time; prints a table and writes ``pruned.json`` into the work directory."""
    args = parse(argv)
    from restorebox.engine.checkpoint import save_file, sha256
    from restorebox.inference.models import load_model
    from restorebox.inference.pruning import check_prunable, measure_worth, prune_network
    from restorebox.metrics.scores import library_versions
    from restorebox.registry import RESTORERS

    _find(args)
    cfg = prepare(args)
    home = Path(cfg.work_dir)
    if home.exists() and any(home.iterdir()):
        raise ConfigError(f'prune: {home} is not empty; give another --work-dir')
    if cfg.model.get('type') != 'SupervisedRestorer':
        raise ConfigError(f'prune: {args.config} trains a {cfg.model.get("type")}; only a SupervisedRestorer is pruned')
    for key, reason in (('train', 'no channel could be ranked'), ('test', 'the cost would not be known')):
        if cfg.get(f'{key}_dataloader') is None:
            raise ConfigError(f'prune: {args.config} has no {key}_dataloader, so that {reason}')
    wide = load_model(args.config, args.checkpoint)
    narrow = RESTORERS.build(cfg.model).eval()
    check_prunable(wide.generator, narrow.generator)
    worth = measure_worth(wide, _samples(cfg))
    narrow.generator.load_state_dict(prune_network(wide.generator, narrow.generator, worth))
    home.mkdir(parents=True, exist_ok=True)
    cut = home / 'cut.pth'
    save_file({'meta': {'cfg_json': json.dumps(cfg.to_dict(), default=str)}, 'state_dict': narrow.state_dict()}, cut)
    both = {key: value for key, value in args.cfg_options.items() if not key.startswith('model.generator.')}
    scores = {'before': _scores(args, args.checkpoint, 'before', both)}
    scores['cut'] = _scores(args, str(cut), 'cut', args.cfg_options)
    last = str(cut)
    if args.samples:
        last = _train(cfg, cut, args.samples)
        scores['trained'] = _scores(args, last, 'trained', args.cfg_options)
    weights = [sum(p.numel() for p in each.generator.parameters()) for each in (wide, narrow)]
    report = {
        'config': args.config,
        'widths': args.cfg_options,
        'ranked_on': RANKED,
        'samples': args.samples,
        'source_sha256': sha256(args.checkpoint),
        'checkpoint': {
            'path': str(Path(last).resolve().relative_to(home.resolve())),
            'sha256': sha256(last),
        },  # beside this file
        'weights': weights,
        SCORE: {name: each['mean'][SCORE] for name, each in scores.items()},
        'input': scores['before']['mean'][f'input/{SCORE}'],
        'pictures': scores['before']['count'],
        'cost_db': scores['before']['mean'][SCORE] - scores[list(scores)[-1]]['mean'][SCORE],
        **_times(cfg, wide, narrow),
        'libraries': library_versions(),
    }
    write_whole(home / 'pruned.json', json_bytes(report))
    print(f'{show(report)}\ncheckpoint: {last}')


def _find(args: argparse.Namespace) -> None:
    """Put a config, a file of weights and a work directory in the place of a name, a URL and nothing."""
    from restorebox.inference.models import find_model, find_weights, is_url

    name = args.config
    if args.checkpoint is None:
        args.checkpoint = str(find_weights(name))
        args.config = find_model(name).config
    elif is_url(args.checkpoint):
        args.checkpoint = str(find_weights(args.checkpoint))
    args.work_dir = args.work_dir or str(Path('work_dirs') / f'{Path(args.config).stem}_pruned')


def _samples(cfg: object) -> Iterator[dict]:
    """Batches of one from the training set, as it is drawn."""
    from itertools import islice

    from restorebox.datasets.collate import collate_roles
    from restorebox.datasets.sampler import KeyedSampler
    from restorebox.registry import DATASETS

    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    for key in islice(iter(KeyedSampler(dataset)), RANKED):
        yield collate_roles([dataset[key]])


def _train(cfg: object, cut: Path, samples: int) -> str:
    """Train the narrow network -> its checkpoint."""
    cfg.train_cfg.max_samples = cfg.train_cfg.val_samples = samples
    cfg.default_hooks.checkpoint.every_samples = samples
    cfg.param_scheduler = [dict(type='CosineAnnealingLR', T_max=samples, end=samples, eta_min=1e-6)]
    cfg.load_from, cfg.resume, cfg.work_dir = str(cut), False, str(cut.parent / 'training')
    return str(run_runner(cfg, 'train').last_checkpoint())


def _scores(args: argparse.Namespace, checkpoint: str, name: str, options: dict) -> dict:
    """What ``test`` says of a checkpoint."""
    from restorebox.cli.test import prepare_test

    cfg = prepare_test(argparse.Namespace(**{**vars(args), 'checkpoint': checkpoint, 'cfg_options': options}))
    folder = Path(cfg.work_dir) / name
    cfg.work_dir = str(folder)
    run_runner(cfg, 'test')
    return json.loads((folder / 'scores.json').read_bytes())


def _times(cfg: object, wide: BaseRestorer, narrow: BaseRestorer) -> dict:
    """Seconds a picture of both, in turn on pictures of the test set, whole."""
    from restorebox.cli.benchmark_restore import Row, time_rows
    from restorebox.inference import Tiler
    from restorebox.registry import DATASETS

    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    pictures = [dataset[i]['inputs']['lq'] for i in range(min(TIMED, len(dataset)))]
    pictures = [picture.permute(1, 2, 0).contiguous().numpy() for picture in pictures]
    rows = [Row(name, 'contiguous', 'fp32', Tiler(net, 1e6)) for name, net in (('wide', wide), ('narrow', narrow))]
    took = time_rows(rows, pictures, ROUNDS)
    return {
        'seconds': [statistics.median(each) for each in zip(*took, strict=True)],
        'gain': 1 / statistics.median(fast / slow for slow, fast in took),
        'timed': len(pictures),
    }


def show(report: dict) -> str:
    """The report for people."""
    score, (wide, narrow), (slow, fast) = report[SCORE], report['weights'], report['seconds']
    trained = f', trained on {report["samples"]} samples {score["trained"]:.2f}' if 'trained' in score else ''
    return (
        f'\n{SCORE} on {report["pictures"]} pictures: input {report["input"]:.2f}, before {score["before"]:.2f}, cut '
        f'{score["cut"]:.2f}{trained}\n'
        f'costs {report["cost_db"]:.2f} dB; {wide:,} -> {narrow:,} weights\n'
        f'gains {report["gain"]:.2f} times: {slow:.3f} -> {fast:.3f} s a picture'
    )
