"""docs/first_training.md, carried out: in CI with a training of some steps, with RESTOREBOX_LONG=1 as it stands."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPO, load_study, long
from tests.docs.scripts import run_python, run_shell

RESULTS = REPO / 'docs/results/first_training'
SHORT = {'max_samples = 8_000': 'max_samples = 32', 'iter_1000': 'iter_4'}


@pytest.fixture(scope='module')
def page():
    return load_study('first_training')


def runner(folder: Path) -> Callable[[str, str], str]:
    """What carries out a block in a folder."""
    return lambda language, script: (run_shell if language == 'sh' else run_python)(script, folder)


def lines(output: str) -> set[str]:
    """The lines of an output without figures; not the mark of those that the page leaves out."""
    return {re.sub(r'[\d.,]+', '#', line).strip() for line in output.splitlines() if line.strip() not in ('', '...')}


@pytest.mark.slow
def test_the_steps_of_the_page_work_with_a_short_training(page, tmp_path):
    def change(text: str) -> str:
        for old, new in SHORT.items():
            text = text.replace(old, new)
        return text

    outputs = page.walk(tmp_path, runner(tmp_path), change)
    assert sorted(f'{number}.txt' for number in outputs) == sorted(path.name for path in RESULTS.glob('*.txt'))
    for number in (1, 2):  # those that don't depend on the training
        stored = (RESULTS / f'{number}.txt').read_text()
        assert lines(stored) <= lines(page.STAMP.sub('', outputs[number]).replace(f'{tmp_path}/', ''))
    assert all((tmp_path / file).is_file() for file in page.DRAWN.values())
    assert (tmp_path / 'restored/coffee.png').is_file()
    assert 'CC BY 4.0' in outputs[6]


def test_the_figures_of_the_page_are_those_of_its_run(page):
    run = json.loads((RESULTS / 'run.json').read_text())
    assert run['training']['samples'] == 8_000
    table = (RESULTS / '5.txt').read_text()
    for name in ('psnr_y', 'input/psnr_y'):
        assert f'{run["mean"][name]:.2f}' in table
    assert run['mean']['psnr_y'] > run['mean']['input/psnr_y'] + 1


@long
def test_the_page_as_it_stands_improves_its_test_images(page, tmp_path):
    page.walk(tmp_path, runner(tmp_path))
    mean = json.loads((tmp_path / 'work_dirs/first/scores.json').read_text())['mean']
    stored = json.loads((RESULTS / 'run.json').read_text())['mean']
    assert mean['psnr_y'] == pytest.approx(stored['psnr_y'], abs=0.5)
