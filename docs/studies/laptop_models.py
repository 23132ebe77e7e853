"""Train the laptop-size model of each method, publish its weights, and write its section of docs/laptop_models.md.

    python docs/studies/laptop_models.py [NAME ...] --data-root FOLDER --data WORDS [--seed 0]

FOLDER contains clean photographs, {train,test}/gt, over which each config renders its degradations. A model that starts
from another one's weights is trained after it. Complete trainings are read, interrupted ones are resumed. Writes
configs/METHOD/NAME.safetensors, docs/images/laptop/NAME_{sheet,curves}.webp, docs/results/laptop_models.json and .md,
and prints the entries of the metafiles. Gains of further seeds come from the records of the claims (docs/claims/runs).
What a training at the paper's size needs is computed from its number of steps and the CPU time of a step in
docs/results/training_memory.json (`docs/studies/training_memory.py`).
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from restorebox.claims.runs import last_checkpoint, train_and_test, write_json
from restorebox.cli.common import guarded
from restorebox.engine.checkpoint import sha256
from restorebox.engine.config import load_config
from restorebox.engine.publishing import publish_checkpoint
from restorebox.files import configs_dir, replacing
from restorebox.inference.models import find_model

DOCS = Path(__file__).resolve().parents[1]
OUT = DOCS / 'results' / 'laptop_models.json'
PICTURES = DOCS / 'images' / 'laptop'
WIDEST, TALLEST = 900, 1000  # pixels of a picture on the page
LICENCE = 'non-commercial: trained on BSDS500'
LIMITS = 'Laptop size: shows that the method restores. For photographs use the default model. Trained on: '


@dataclass(frozen=True)
class Model:
    """A laptop-size model.

    Attributes:
        title: of its section.
        data: its degradation, in words.
        paper: config at the paper's size.
        claim: METHOD/BUDGET/MODEL, its records of other seeds in docs/claims/runs; None for none.
        first: config whose last weights it starts from; None for none.
    """

    title: str
    data: str
    paper: str
    claim: str | None = None
    first: str | None = None


MODELS = {
    'cclgan_demo': Model('CCLGAN', 'line rain, unpaired', 'cclgan/cclgan_spa.py', 'raindiffusion/small/teacher'),
    'raindiffusion_demo_held': Model(
        'RainDiffusion, with the generators of the CCLGAN above',
        'line rain, unpaired',
        'raindiffusion/raindiffusion_rain1400.py',
        'raindiffusion/small/full',
        'cclgan_demo',
    ),
    'heavy_rain_demo_stage2': Model(
        'Heavy rain, stages 1 and 2',
        'heavy rain with a veil',
        'heavy_rain/heavy_rain_outdoor_rain_stage2.py',
        first='heavy_rain_demo_residue',
    ),
    'fdrnet_demo': Model('FDR-Net', 'blur, noise and JPEG', 'fdrnet/did_hy_fdrnet.py', 'fdrnet/small/full'),
    'infoaccum_demo': Model('InfoAccum', 'line rain, paired', 'infoaccum/rain800_pix2pix.py'),
}


def train(name: str, args: argparse.Namespace) -> tuple[Path, dict]:
    """Train a config, after the one that it starts from; return its work directory and scores."""
    model, folder = MODELS.get(name), args.work_dir / f'{name}_s{args.seed}'
    overrides = {}
    if model is not None and model.first is not None:
        overrides['load_from'] = str(last_checkpoint(train(model.first, args)[0]))
    config = find_model(name).config
    return folder, train_and_test(config, args.seed, folder, data_root=args.data_root, overrides=overrides)


def shrink(source: Path, target: Path) -> None:
    """Write a picture as WebP, scaled down to ``WIDEST`` and cut off at ``TALLEST`` pixels."""
    picture = Image.open(source).convert('RGB')
    picture.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
    picture = picture.crop((0, 0, picture.width, min(picture.height, TALLEST)))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as beside:
        picture.save(beside, 'WEBP', quality=75, method=6)


def publish(name: str, args: argparse.Namespace) -> dict:
    """Train a model, publish its weights and pictures; return the facts of its section."""
    folder, scores = train(name, args)
    model = MODELS[name]
    file = configs_dir() / find_model(name).config.split('/')[1] / f'{name}.safetensors'
    limits = f'{LIMITS}{model.data}.'
    count = publish_checkpoint(str(last_checkpoint(folder)), file, LICENCE, limits, str(folder / 'scores.json'))
    shrink(folder / 'sheets' / 'test.png', PICTURES / f'{name}_sheet.webp')
    shrink(folder / 'curves.png', PICTURES / f'{name}_curves.webp')
    return {
        'weights': count,
        'bytes': file.stat().st_size,
        'sha256': sha256(file),
        'file': str(file.relative_to(configs_dir().parent)),
        **{key: scores[key] for key in ('mean', 'count', 'training', 'inference', 'libraries', 'date')},
        'gains': [each['psnr_y'] - each['input/psnr_y'] for each in scores['per_picture']],  # in dB, per picture
    }


def paper_size(model: Model) -> str:
    """Return what a training at the paper's size needs, in a sentence."""
    cfg = load_config(model.paper)
    batch, samples = cfg.train_dataloader.batch_size, cfg.train_cfg.max_samples
    text = f"The paper's size, `configs/{model.paper}`: {samples // batch:,} steps of batch size {batch}"
    rows = json.loads((OUT.parent / 'training_memory.json').read_text())['rows']
    for row in rows:
        kinds = [row[kind] for kind in ('storing', 'recomputing') if row.get(kind) and 'cpu_seconds' in row[kind]]
        if kinds and kinds[0]['config'] == model.paper:
            seconds = kinds[0]['cpu_seconds']
            days = seconds * samples / batch / 86_400
            text += f'; {seconds:,.0f} CPU seconds a step, {days:,.0f} days on one core, {kinds[0]["peak_gib"]:.1f} GiB'
    return f'{text}.'


def other_seeds(model: Model) -> str:
    """Return the gains of the claim's records, in a sentence; empty without records."""
    method, budget, name = model.claim.split('/') if model.claim else ('', '', '')
    found = {}
    for path in sorted((DOCS / 'claims' / 'runs' / method / budget).glob(f'{name}_s*.json')) if model.claim else ():
        mean = json.loads(path.read_text()).get('mean')
        if mean:
            found[path.stem.rpartition('_s')[2]] = mean['psnr_y'] - mean['input/psnr_y']
    if not found:
        return ''
    gains = ', '.join(f'{gain:+.2f}' for gain in found.values())
    return f" Gains of the claim's runs with the same setting, seed {', '.join(found)}: {gains} dB."


def section(name: str, facts: dict, data: str) -> str:
    """Return a model's section in Markdown."""
    model, mean, cost = MODELS[name], facts['mean'], facts['training']
    gains = facts['gains']
    first = f' It starts from the weights of `{model.first}`.' if model.first else ''
    return '\n'.join(
        [
            f'## {model.title}',
            '',
            f'`{name}`: {facts["weights"]:,} weights, {facts["bytes"] / 2**20:.1f} MiB, '
            f'config `{find_model(name).config}`. Degradation: {model.data}.{first} Training: {cost["samples"]:,} '
            f'samples in {cost["minutes"]:.0f} minutes on {cost["device"]} with {cost["threads"]} thread, seed '
            f'{cost["seed"]}. {data}.',
            '',
            f'Test on {facts["count"]} pictures: psnr_y {mean["input/psnr_y"]:.2f} → {mean["psnr_y"]:.2f} dB, ssim_y '
            f'{mean["input/ssim_y"]:.4f} → {mean["ssim_y"]:.4f}. Gain per picture from {min(gains):+.2f} to '
            f'{max(gains):+.2f} dB, median {statistics.median(gains):+.2f}; {sum(gain > 0 for gain in gains)} of '
            f'{len(gains)} pictures gain.{other_seeds(model)}',
            '',
            paper_size(model),
            '',
            f'![{name}: test pictures](../images/laptop/{name}_sheet.webp)',
            '',
            f'![{name}: losses, scores and learning rates](../images/laptop/{name}_curves.webp)',
            '',
        ]
    )


def main() -> None:
    """Train and publish what is missing; write after each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'of {", ".join(MODELS)} (default: all)')
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--data', required=True, help='what the photographs are, for the page')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/laptop_models'))
    args = parser.parse_args()
    if unknown := set(args.names) - set(MODELS):
        parser.error(f'no such model: {", ".join(sorted(unknown))}; there are {", ".join(MODELS)}')
    for name in args.names or MODELS:
        found = publish(name, args)
        # read after the training: another process may have written meanwhile
        facts = json.loads(OUT.read_text()) if OUT.is_file() else {'data': args.data, 'models': {}}
        facts['models'][name] = found
        write_json(OUT, facts)
        text = '\n'.join(
            section(each, facts['models'][each], facts['data']) for each in MODELS if each in facts['models']
        )
        OUT.with_suffix('.md').write_text(f'<!-- written by docs/studies/laptop_models.py -->\n\n{text}')
        print(f'  - Name: {name}\n    Weights: {found["file"]}\n    SHA256: {found["sha256"]}', flush=True)


if __name__ == '__main__':
    guarded(main)
