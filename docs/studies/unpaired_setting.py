"""The unpaired methods at laptop size: which discriminator, weights and start make them restore?

    python docs/studies/unpaired_setting.py --data-root FOLDER --data WORDS [--samples 1600] [--seeds 0 1 2]

FOLDER contains clean photographs, {train,test}/gt; line rain is drawn over half of those for training and over all for
testing. An arm is a demo config with changed keys. Arms see the same crops in the same order, two per step. The arms of
RainDiffusion train the denoisers on pseudo pairs of the frozen generators of `cclgan_lcl` with the same seed, on as
many samples. Runs are made seed by seed; complete ones are read, an interrupted one is resumed. After each run the
script writes docs/results/unpaired_setting_SAMPLES.json (scores per run) and .md: gain over the input per seed, its
interval, and how many seeds have left the identity, from which all generators start but those of the arm `start`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from restorebox.claims.runs import KEPT, last_checkpoint, train_and_test, write_json
from restorebox.claims.statistics import interval
from restorebox.cli.common import guarded

RESULTS = Path(__file__).resolve().parents[1] / 'results'
LEFT = 0.1
"""A run has left the identity if its mean PSNR differs from that of the input by more than this, in dB."""
BACKBONE = 'model.discriminator.backbone'
AUTHORS = {'model.lambda_lcl': 2.0}
ANTIALIAS3 = {f'{BACKBONE}.antialias': True, f'{BACKBONE}.halvings': 3}
PLAIN3 = {f'{BACKBONE}.antialias': False, f'{BACKBONE}.halvings': 3}
PLAIN2 = {f'{BACKBONE}.antialias': False, f'{BACKBONE}.halvings': 2}
IDENTITY, LOCATION = {'model.lambda_idt': 5.0}, {'model.lambda_lcl': 0.5}
BOTH = {**PLAIN2, **IDENTITY, **LOCATION}
HELD = {'model.detach': 'all', 'model.lambda_cyc': 0.0}
TEACHER = 'cclgan_lcl'
FIRST_STEPS = 200
"""Steps of the discriminators alone in the arm `d_first`."""
# arm: (method, discriminator, what else, changed keys)
ARMS: dict[str, tuple[str, str, str, dict]] = {
    'cclgan': ('cclgan', 'anti-aliased, 3 halvings', "the authors' weights", {**AUTHORS, **ANTIALIAS3}),
    'cclgan_plain3': ('cclgan', '3 halvings', "the authors' weights", {**AUTHORS, **PLAIN3}),
    'cclgan_plain2': ('cclgan', '2 halvings', "the authors' weights", {**AUTHORS, **PLAIN2}),
    'cclgan_idt': ('cclgan', '2 halvings', 'identity 5', {**AUTHORS, **PLAIN2, **IDENTITY}),
    'cclgan_lcl': ('cclgan', '2 halvings', 'location 0.5', {**PLAIN2, **LOCATION}),
    'cclgan_no_location': ('cclgan', '2 halvings', 'location 0', {**PLAIN2, 'model.lambda_lcl': 0.0}),
    'cclgan_both': ('cclgan', '2 halvings', 'identity 5, location 0.5', BOTH),
    'cyclegan': ('cyclegan', '3 halvings', '', PLAIN3),
    'cyclegan_plain2': ('cyclegan', '2 halvings', '', PLAIN2),
    'cut': ('cut', 'anti-aliased, 3 halvings', '', ANTIALIAS3),
    'cut_plain2': ('cut', '2 halvings', '', PLAIN2),
    'encoder': (
        'cclgan',
        '2 halvings',
        'identity 5, location 0.5, EfficientNet-Lite0',
        {**BOTH, 'model.semantic_encoder.type': 'EfficientNetLite'},
    ),
    'start': (
        'cclgan',
        '2 halvings',
        "identity 5, location 0.5, generators start off the identity (init='normal')",
        {**BOTH, 'model.generator.init': 'normal'},
    ),
    'd_first': (
        'cclgan',
        '2 halvings',
        f'identity 5, location 0.5, discriminators learn {FIRST_STEPS} steps alone',
        BOTH,
    ),
    'positions': (
        'cclgan',
        '2 halvings',
        'identity 5, location 0.5, 64 positions instead of 256',
        {**BOTH, 'model.lcl_positions': 64},
    ),
    'cyclegan_start': (
        'cyclegan',
        '2 halvings',
        "generators start off the identity (init='normal')",
        {**PLAIN2, 'model.generator.init': 'normal'},
    ),
    'raindiffusion': ('raindiffusion', '', f'generators of `{TEACHER}`, held', HELD),
}
CONFIGS = {'raindiffusion': 'raindiffusion/raindiffusion_demo_ntb_start.py'}


def config_of(method: str) -> str:
    """Return a method's demo config."""
    return CONFIGS.get(method, f'{method}/{method}_demo.py')


def schedule(method: str, samples: int) -> dict:
    """Return the keys of a training of this many samples; the unpaired GANs' rate decays in its second half."""
    changed: dict = {
        'train_cfg.max_samples': samples,
        'train_cfg.val_samples': samples,
        'train_dataloader.num_workers': 0,
        'default_hooks.checkpoint.every_samples': samples // 4,
    }
    if method == 'raindiffusion':
        return changed
    changed |= {
        # the average's window is at most a tenth of the training
        'default_hooks.ema.decay': 0.99 if samples < 4_800 else 0.999,
    }
    for step in ('discriminator', 'generator'):
        changed |= {f'param_scheduler.{step}.begin': samples // 2, f'param_scheduler.{step}.end': samples}
    return changed


def run(arm: str, seed: int, samples: int, work_dir: Path, data_root: str) -> dict:
    """Train and test an arm with a seed; return what is stored."""
    method, _, _, changed = ARMS[arm]
    config = config_of(method)
    changed = schedule(method, samples) | changed
    if method == 'raindiffusion':
        changed['load_from'] = str(last_checkpoint(work_dir / f'{TEACHER}_{samples}_s{seed}'))
    if arm == 'd_first':
        alone = {**changed, **schedule(method, 2 * FIRST_STEPS), 'optim_wrapper.generator.optimizer.lr': 1e-30}
        folder = work_dir / f'd_alone_{FIRST_STEPS}_s{seed}'
        train_and_test(config, seed, folder, data_root=data_root, overrides=alone)
        changed = {**changed, 'load_from': str(last_checkpoint(folder))}
    scores = train_and_test(config, seed, work_dir / f'{arm}_{samples}_s{seed}', data_root=data_root, overrides=changed)
    kept = {key: scores[key] for key in KEPT if key in scores}
    kept['overrides'] = {key: value for key, value in kept.get('overrides', {}).items() if key != 'load_from'}
    return kept


def gains(runs: list[dict], score: str = 'psnr_y') -> list[float]:
    """Return score minus that of the input, per seed."""
    return [each['mean'][score] - each['mean'][f'input/{score}'] for each in runs]


def page(data: str, samples: int, runs: dict[str, list[dict]]) -> str:
    """Return the table in Markdown."""
    first = next(iter(runs.values()))[0]
    psnr, ssim = (first['mean'][f'input/{name}'] for name in ('psnr_y', 'ssim_y'))
    lines = [
        '<!-- written by docs/studies/unpaired_setting.py -->',
        '',
        f'{data}. {samples} samples ({samples // 2} steps of two 48-pixel crops), {first["count"]} test images, '
        f'{first["training"]["device"]}. The input has {psnr:.2f} dB and SSIM {ssim:.4f} (Y). Gains over it in dB, Y; '
        'intervals are 95 % t-intervals of the mean over the seeds. A run has left the identity if its gain or loss is '
        f'above {LEFT} dB. The encoder of CCLGAN is RandomConv unless another is named.',
        '',
        '| arm | method | discriminator | changed | gain per seed | mean | interval | SSIM gain | left the identity '
        '| minutes |',
        '|---' * 10 + '|',
    ]
    for arm, each in runs.items():
        method, discriminator, what, _ = ARMS[arm]
        found = gains(each)
        bounds = interval(found)
        lines.append(
            f'| `{arm}` | {method} | {discriminator} | {what} | '
            + ', '.join(f'{gain:+.2f}' for gain in found)
            + f' | {statistics.mean(found):+.2f} | '
            + (f'{bounds[0]:+.2f} to {bounds[1]:+.2f}' if bounds else 'one seed')
            + f' | {statistics.mean(gains(each, "ssim_y")):+.4f} | '
            + f'{sum(abs(gain) > LEFT for gain in found)} of {len(found)} | '
            + f'{statistics.mean(one["training"]["minutes"] for one in each):.1f} |'
        )
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Run what is missing, then write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--data', required=True, help='what the images are, for the page')
    parser.add_argument('--samples', type=int, default=1600)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--arms', nargs='+', choices=ARMS, default=list(ARMS))
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/unpaired_setting'))
    args = parser.parse_args()
    out = RESULTS / f'unpaired_setting_{args.samples}.json'
    stored = json.loads(out.read_text())['results'] if out.is_file() else {}
    for seed in args.seeds:
        for arm in args.arms:
            if any(each['training']['seed'] == seed for each in stored.get(arm, [])):
                continue
            made = run(arm, seed, args.samples, args.work_dir, args.data_root)
            stored[arm] = sorted([*stored.get(arm, []), made], key=lambda each: each['training']['seed'])
            results = {name: stored[name] for name in ARMS if name in stored}
            write_json(out, {'data': args.data, 'samples': args.samples, 'results': results})
            text = page(args.data, args.samples, results)
            out.with_suffix('.md').write_text(text)
            print(f'{arm} seed {seed}: {gains([made])[0]:+.2f} dB', flush=True)
    print(text)


if __name__ == '__main__':
    guarded(main)
