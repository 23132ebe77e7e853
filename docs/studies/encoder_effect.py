"""CCLGAN's intra loss on the features of RandomConv, of EfficientNet-Lite0, and left out: does the encoder matter?

    python docs/studies/encoder_effect.py --data-root FOLDER --data WORDS [--steps N] [--seeds 0 1 2]

FOLDER contains clean photographs, {train,test}/gt; line rain is drawn over them. The three sides are the row `ccl_only`
of cclgan_demo.py (without the location loss, so that the intra loss alone ties the output to the input's content),
narrower and with one crop per step. They start from the same weights and see the same crops in the same order. Runs are
made seed by seed; complete ones are read, an interrupted one is resumed. Writes docs/results/encoder_effect.json (the
scores of each run, and of the input) and encoder_effect.md after every seed.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from restorebox.claims.runs import KEPT, train_and_test, write_json
from restorebox.claims.statistics import interval
from restorebox.cli.common import guarded

OUT = Path(__file__).resolve().parents[1] / 'results' / 'encoder_effect.json'
CONFIG = 'cclgan/cclgan_demo.py'
SCORE = 'psnr_y'
SIDES = {
    'none': {'model.lambda_intra': 0.0},
    'RandomConv': {},
    'EfficientNetLite': {'model.semantic_encoder.type': 'EfficientNetLite'},
}
PAIRS = (('RandomConv', 'none'), ('EfficientNetLite', 'none'), ('EfficientNetLite', 'RandomConv'))


def overrides(steps: int) -> dict:
    """Settings of all sides: a narrow network, one crop per step."""
    changed: dict = {
        'model.lambda_lcl': 0.0,
        'model.generator.backbone.base_width': 8,
        'model.generator.backbone.blocks': 2,
        'model.discriminator.backbone.base_width': 8,
        'train_dataloader.batch_size': 1,
        'train_dataloader.num_workers': 0,
        'train_cfg.max_samples': steps,
        'train_cfg.val_samples': steps,
        'default_hooks.checkpoint.every_samples': max(steps // 4, 1),
        # 0.999, the demo's, would still hold much of the first weights at the end of so short a training
        'default_hooks.ema.decay': 0.99,
    }
    for step in ('discriminator', 'generator'):
        changed |= {f'param_scheduler.{step}.begin': steps // 2, f'param_scheduler.{step}.end': steps}
    return changed


def verdict(bounds: tuple[float, float] | None) -> str:
    """What an interval says about the sign of the mean."""
    if bounds is None:
        return 'one seed: no interval'
    if bounds[0] > 0:
        return 'above 0'
    return 'below 0' if bounds[1] < 0 else 'inconclusive: 0 is inside'


def line(name: str, values: list[float]) -> str:
    """Row of a table: mean, interval and verdict of differences, in dB."""
    bounds = interval(values)
    shown = f'{bounds[0]:+.3f} to {bounds[1]:+.3f}' if bounds else ''
    return f'| {name} | {statistics.mean(values):+.3f} | {shown} | {verdict(bounds)} |'


def page(data: str, steps: int, runs: dict[str, list[dict]]) -> str:
    """The page: scores, differences from the input, differences between the sides."""
    first = runs['none'][0]
    seeds = [str(each['training']['seed']) for each in runs['none']]
    lines = [
        '<!-- written by docs/studies/encoder_effect.py -->',
        '',
        f'{data}. Row `ccl_only` of `{CONFIG}`, 8 channels wide, {steps} steps of one 48-pixel crop, seeds '
        f'{", ".join(seeds)}, {first["count"]} test images, {first["training"]["device"]}. Y PSNR in dB; intervals are '
        '95 % confidence intervals of the mean over the seeds (Student, paired by seed).',
        '',
        '| intra loss on | ' + ' | '.join(f'seed {seed}' for seed in seeds) + ' | minutes |',
        '|---' * (len(seeds) + 2) + '|',
        '| input (do nothing) | '
        + ' | '.join(f'{each["mean"][f"input/{SCORE}"]:.3f}' for each in runs['none'])
        + ' | |',
    ]
    for side, each in runs.items():
        minutes = statistics.mean(run['training']['minutes'] for run in each)
        lines.append(f'| {side} | ' + ' | '.join(f'{run["mean"][SCORE]:.3f}' for run in each) + f' | {minutes:.1f} |')
    lines += ['', '| difference | mean | interval | verdict |', '|---|---|---|---|']
    for side, each in runs.items():
        lines.append(line(f'{side} - input', [run['mean'][SCORE] - run['mean'][f'input/{SCORE}'] for run in each]))
    for one, other in PAIRS:
        differences = [a['mean'][SCORE] - b['mean'][SCORE] for a, b in zip(runs[one], runs[other], strict=True)]
        lines.append(line(f'{one} - {other}', differences))
    above = [
        side
        for side, each in runs.items()
        if verdict(interval([run['mean'][SCORE] - run['mean'][f'input/{SCORE}'] for run in each])) == 'above 0'
    ]
    if not above:
        lines += ['', 'No interval is above the input: these runs do not show which encoder restores better.']
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Run what is missing, then write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--data', required=True, help='what the images are, for the page')
    parser.add_argument('--steps', type=int, default=500)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/encoder_effect'))
    args = parser.parse_args()
    runs: dict[str, list[dict]] = {side: [] for side in SIDES}
    for seed in args.seeds:
        for side, changed in SIDES.items():
            folder = args.work_dir / f'{side}_{args.steps}_s{seed}'
            scores = train_and_test(
                CONFIG, seed, folder, data_root=args.data_root, overrides=overrides(args.steps) | changed
            )
            runs[side].append({key: scores[key] for key in KEPT if key in scores})
        write_json(OUT, {'data': args.data, 'steps': args.steps, 'results': runs})
        text = page(args.data, args.steps, runs)
        OUT.with_suffix('.md').write_text(text)
        print(text, flush=True)


if __name__ == '__main__':
    guarded(main)
