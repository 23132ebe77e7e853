"""Every shell and Python block of the pages is run here or by another test, or is listed with the reason why not.

The blocks of a page run in order in one folder with small pictures. In CI a training is built and checked, not run,
and commands that need its checkpoint must miss nothing else. With RESTOREBOX_LONG=1 it runs for a step, and they
follow.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebox.engine.running import check_config
from tests.conftest import LONG, REPO
from tests.docs.scripts import call_line, lines_of, link_repository, run_python, run_shell
from tests.factories import publish_small, write_pairs

DOCS = REPO / 'docs'
BLOCK = re.compile(
    r'^```(?:\{code-block\} )?(sh|python)\n(?::caption: ([^\n]+)\n\n)?(.*?)^```$', re.MULTILINE | re.DOTALL
)
# pages whose blocks another test runs, which reads them out of the page
ELSEWHERE = {
    'add_a_method.md': 'tests/docs/test_add_a_method.py',
    'first_training.md': 'tests/docs/test_first_training.py',
}
# lines that are not run, with the reason; a test named in it covers the command with other arguments
NOT_RUN = {
    r'pip (un)?install': 'changes the environment',
    r'grep .* pip install': 'changes the environment',
    r'^(export AWS_|restorebox restore s3:)': 'needs an object store: tests/cli/test_restore_storage.py',
    r'hf://': 'needs the Hub: tests/engine/test_hub.py',
    r'^docker ': 'needs Docker: tests/test_dockerfile.py',
    r'slurm_|^sbatch ': 'needs Slurm: tests/tools/test_scripts.py',
    r'^NNODES=': 'needs two machines: tests/tools/test_scripts.py',
    r'^restorebox (serve|web)|^curl ': 'does not end by itself: tests/web/test_serving.py, tests/web/test_page.py',
    r'^make demo': 'trains for minutes: tests/cli/test_demo.py',
    r'tools/benchmarks/|docs/studies/|tests/campaign/': 'measures for minutes: tests/tools/test_benchmarks.py',
    r'work_dirs/bicubic_set5': 'scores what the study before it wrote: tests/cli/test_score.py',
    r'^restorebox prepare-data \S+( --from|$)': 'needs a download: tests/cli/test_prepare_data.py',
    r'^restorebox (check-data|train|test) all_in_one/': 'needs three public sets: tests/datasets/test_mixture.py',
    r'^restorebox reproduce (fdrnet|--confirm)': 'trains for minutes: tests/claims/test_reproduce.py',
    r'^restorebox (export|convert-weights)|^tools/prune|NAFNet|SCUNet|nafnet\.pth': 'needs weights of others or an '
    'extra, or takes long: tests/cli/test_export.py, tests/cli/test_prune.py, tests/engine/test_zoo.py',
    r'weather\.onnx': 'follows an export: tests/inference/test_exporting.py',
    r'^torchrun|^tools/dist_': 'starts ranks: tests/test_restore_scripts.py, tests/tools/test_scripts.py',
    r'--engine ray': 'starts Ray: tests/inference/test_ray_pool.py',
    r'clip\.mp4': 'needs a film: tests/cli/test_restore_video.py',
    r'--published|--claimed|^restorebox score results/$': 'needs pictures of that set: tests/cli/test_score.py',
    r'^restorebox compare|load_from=unet5': 'needs the runs of other blocks: tests/engine/test_comparison.py, '
    'tests/engine/test_initial_weights.py',
    r'cclgan_spa': 'takes minutes and 3 GiB at its size: tests/restorers/test_cycle.py',
    r'ViT-B-32\.pt': 'needs the file of OpenAI: tests/encoders/test_clip.py',
}
# Python blocks that are not run: page, a part of the block, the reason
NOT_RUN_PYTHON = [
    ('zoo.md', 'hyperparameters=dict(...)', 'leaves values out: tests/engine/test_zoo.py'),
    ('serving.md', 'httpx.post', 'needs a running server: tests/web/test_serving.py'),
    (
        'restoring.md',
        'restore_video',
        'needs a film: tests/inference/test_video.py',
    ),
]
TRAINS = re.compile(r'^(?:restorebox train|(?:python )?tools/train\.py) ')
STAGES = re.compile(r'^restorebox train-stages ')
OTHER_DATA = 'did_hy_fdrnet'  # a config of a public set, which is not there: it is built and checked only
NEEDS_CHECKPOINT = re.compile(r'iter_\d+|mine\.safetensors')
SHORT = (
    'train_cfg.max_samples=1 train_cfg.val_samples=1 default_hooks.checkpoint.every_samples=1 '
    'train_dataloader.batch_size=1'
)


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    page: str
    line: int
    language: str
    caption: str | None
    text: str


def blocks() -> Iterator[Block]:
    """All blocks of all pages and of the README."""
    for page in [*sorted(DOCS.glob('*.md')), REPO / 'README.md']:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            yield Block(page.name, text[: match.start()].count('\n') + 1, match[1], match[2], match[3])


def reason(line: str) -> str | None:
    """Why a line of a shell block is not run; None if it is."""
    return next((why for part, why in NOT_RUN.items() if re.search(part, line)), None)


@pytest.fixture(scope='module')
def work(tmp_path_factory) -> Path:
    """A folder with what the pages take as given."""
    folder = tmp_path_factory.mktemp('blocks')
    link_repository(folder)
    for split in ('train', 'test'):
        write_pairs(folder / 'data/paired', split, 3, size=(264, 272), seed=len(split))
        shutil.copytree(folder / f'data/paired/{split}/gt', folder / f'data/clean/{split}/gt')
        for role, part in (('lq', 'A'), ('gt', 'B')):
            shutil.copytree(folder / f'data/paired/{split}/{role}', folder / f'data/unpaired/{split}{part}')
        for role in ('lq', 'gt'):
            (folder / f'data/my_rain/{split}/{role}').mkdir(parents=True)
            for path in (folder / f'data/paired/{split}/{role}').iterdir():
                name = f'{path.stem}_1_2.png' if role == 'lq' else path.name
                shutil.copy(path, folder / f'data/my_rain/{split}/{role}/{name}')
    shutil.copytree(folder / 'data/paired', folder / 'data/mine')
    shutil.copytree(folder / 'data/paired/test/lq', folder / 'results')
    shutil.copytree(folder / 'data/paired/test/gt', folder / 'clean')
    for name, source in {'rainy': 'test/lq', 'clean': 'train/gt', 'held_out': 'test/gt'}.items():
        shutil.copytree(folder / 'data/paired' / source, folder / 'Pictures' / name)
    shutil.copytree(folder / 'Pictures/clean/', folder / 'Pictures/clean/train/gt')
    shutil.copytree(folder / 'Pictures/held_out/', folder / 'Pictures/clean/test/gt')
    (folder / 'more').mkdir()
    for name in ('photo.jpg', 'rainy.jpg', 'more/1.png'):
        Image.open(folder / 'Pictures/rainy/00.png').save(folder / name)
    shutil.make_archive(str(folder / 'album'), 'zip', folder / 'Pictures/rainy')
    (folder / 'published').mkdir()
    shutil.copy(publish_small(folder / 'published'), folder / 'model.safetensors')
    (folder / 'last_run').touch()
    os.utime(folder / 'last_run', (0, 0))
    return folder


def check_training(line: str) -> None:
    """Build and check the config of a training, with its row and overrides."""
    words = line.split()
    config = next(word for word in words if word.endswith('.py') and 'tools/' not in word)
    row = words[words.index('--row') + 1] if '--row' in words else None
    assert check_config(str(REPO / config), row=row) == []


def train_a_step(line: str, folder: Path) -> None:
    """Train for one sample, and give the checkpoint the name that the pages have for the one of a whole training."""
    row = re.search(r'--row (\S+)', line)
    run = re.findall(r'(\w+)\.py(?= |$)', line)[-1] + (f'_{row[1]}' if row else '')
    if '--resume' not in line:
        shutil.rmtree(folder / 'work_dirs' / run, ignore_errors=True)
    line = re.sub(r'train_cfg\.max_samples=\S+', '', line.replace('FOLDER', 'data/clean'))
    joined = line if '--cfg-options' in line else f'{line} --cfg-options'
    run_shell(f'{joined} {SHORT}', folder)
    pages = ''.join(block.text for block in blocks())
    pages += ''.join(path.read_text() for path in (REPO / 'configs').rglob('*.py'))  # their load_from
    for checkpoint in set(re.findall(rf'work_dirs/{run}/(iter_\d+\.pth)', pages)):
        shutil.copy(folder / 'work_dirs' / run / 'iter_1.pth', folder / 'work_dirs' / run / checkpoint)


def run_line(line: str, folder: Path) -> None:
    """Run a line of a shell block, or what stands for it in CI."""
    if STAGES.match(line) or (TRAINS.match(line) and (OTHER_DATA in line or not LONG)):
        for config in re.findall(r'configs/\S+\.py', line):
            check_training(f'train {config} ' + ' '.join(re.findall(r'--row \S+', line)))
    elif TRAINS.match(line):
        train_a_step(line, folder)
    elif NEEDS_CHECKPOINT.search(line) and not LONG:  # its options are right if the missing file is all that is wrong
        result = call_line(line, folder)
        assert (result.returncode, 'no such file' in result.stderr) == (1, True), result.stderr
    else:
        made = re.match(r'restorebox synthesize \S+ data/paired .*', line)
        split = 'test' if '--split test' in line else 'train'
        if made and not (folder / f'data/paired/{split}/manifest.jsonl').exists():  # refuses pairs of other origin
            shutil.rmtree(folder / f'data/paired/{split}')
        run_shell(line.replace('find /data', 'find Pictures/rainy'), folder)


GIVEN = {
    'degradations.md': {'picture': np.full((40, 48, 3), 90, np.uint8)},
    'datasets.md': {'names': [f'{i}.png' for i in range(9)], 'seed': 0, 'count': 4},
}
STEPS = """
load, pack = dict(type='LoadPictures'), dict(type='Pack')
cut, flip = dict(type='RandomWindow', size=32), dict(type='Flip', p=0.5)
"""
# pages whose blocks are parts of a config: the config that they change, lines before and behind
PARTS = {
    'encoders.md': ('cclgan/cclgan_demo.py', '', 'model = dict(semantic_encoder=semantic_encoder)\ndel losses\n'),
    'measuring.md': ('unet/unet5_paired.py', '', ''),
    'finetuning.md': ('fdrnet/weather.py', '', ''),
    'protocols.md': ('unet/unet5_paired.py', STEPS, 'del load, pack, cut, flip\n'),
}


def run_script(block: Block, folder: Path) -> None:
    """Run a Python block; check one that is a config or a part of one."""
    if any(block.page == page and part in block.text for page, part, _ in NOT_RUN_PYTHON):
        return
    if block.caption is None and block.page not in PARTS:
        run_python(block.text, folder, **GIVEN.get(block.page, {}))
        return
    text, name = block.text, block.caption
    if block.page in PARTS:
        base, before, behind = PARTS[block.page]
        text, name = f"_base_ = '{REPO}/configs/{base}'\n{before}{text}{behind}", 'part.py'
    (folder / name).write_text(text)
    assert check_config(str(folder / name)) == []


HERE = [block for block in blocks() if block.page not in ELSEWHERE]


@pytest.mark.slow
@pytest.mark.parametrize('block', [pytest.param(block, id=f'{block.page}:{block.line}') for block in HERE])
def test_a_block_runs(block, work):
    if block.language == 'python':
        run_script(block, work)
        return
    for line in lines_of(block.text):
        if reason(line) is None:
            run_line(line, work)


def test_what_is_not_run_is_on_a_page_and_the_tests_named_exist():
    """No reason without a block, and no block that is left to a test that is not there."""
    lines = [line for block in blocks() if block.language == 'sh' for line in lines_of(block.text)]
    assert [part for part in NOT_RUN if not any(re.search(part, line) for line in lines)] == []
    texts = {block.page: block.text for block in blocks() if block.language == 'python'}
    assert {page for page, _, _ in NOT_RUN_PYTHON} <= set(texts)
    assert set(ELSEWHERE) <= {block.page for block in blocks()}
    reasons = [*NOT_RUN.values(), *ELSEWHERE.values(), *(why for _, _, why in NOT_RUN_PYTHON)]
    named = {name for why in reasons for name in re.findall(r'tests/[\w/]+\.py', why)}
    assert len(named) > 10
    assert [name for name in sorted(named) if not (REPO / name).is_file()] == []
