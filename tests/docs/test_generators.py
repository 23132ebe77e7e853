"""The parts of the pages that docs/generators.py makes from data: complete, and true to the data."""

import json
import re

import numpy as np
import pytest

from restorebox.degradations import build_degradation
from restorebox.degradations.recipes import RECIPES
from restorebox.errors import ConfigError, missing_package
from restorebox.files import DEFAULT_MODEL
from restorebox.inference.models import find_weights, known_models
from restorebox.registry import BACKBONES
from tests.conftest import REPO, load_script, load_study

DOCS = REPO / 'docs'


@pytest.fixture(scope='module')
def generators():
    return load_script(DOCS / 'generators.py')


@pytest.fixture(scope='module')
def sizes() -> dict:
    return json.loads((DOCS / 'results/models.json').read_text())['models']


def test_every_model_has_a_row_and_every_row_its_cells(generators, sizes):
    table, scores = generators.zoo().split('## Stored scores')
    rows = [line for line in table.splitlines() if line.startswith('| `')]
    assert {row.split('`')[1] for row in rows} == set(known_models())
    assert set(sizes) == set(known_models()), 'run docs/studies/model_sizes.py'
    assert {row.count(' | ') for row in rows} == {8}
    (weather,) = (row for row in rows if '`weather`' in row)
    summary = json.loads((DOCS / 'results/weather.json').read_text())['summary']['rain_pairs_sirr']
    assert f'{summary["input/psnr_y"]:.2f} → {summary["psnr_y"]:.2f}' in weather
    assert 'included, 7.5 MiB' in weather
    for name in ('weather', 'weather_gated', 'weather2_gated'):
        assert scores.count(f'| `{name}` |') == 13


def test_the_versions_of_the_included_model_are_compared_on_all_sets(generators):
    pairs, undegraded = generators.versions().split('\n\n')
    assert len(pairs.splitlines()) == 13
    assert len(undegraded.splitlines()) == 7
    (row,) = (line for line in pairs.splitlines() if 'rain_pairs_ddn' in line)
    *_, first, second, difference = (float(cell) for cell in row.strip('| ').split(' | ')[1:])
    assert difference == pytest.approx(second - first, abs=0.011)
    lines = json.loads((DOCS / 'results/weather2_gated.json').read_text())['lines']
    (stored,) = (line for line in lines if line['what'] == 'rain_pairs_ddn: mean')
    assert second == round(stored['measured'], 2)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['weather', 'unet_demo', 'nafnet_gopro', 'diffusion_demo'])
def test_stored_sizes_are_those_of_the_networks(name, sizes):
    assert load_study('model_sizes').measure(known_models()[name].config) == sizes[name]


def test_claims_that_are_no_longer_run_are_not_scores_of_a_model_as_it_is(generators):
    plain = {score.config for score in generators.stored_scores() if not score.changed}
    assert 'configs/fdrnet/fdrnet_demo.py' in plain
    untrained = [score for score in generators.stored_scores() if score.run == 'untrained']
    assert untrained
    assert all(score.changed for score in untrained)


@pytest.mark.slow
def test_the_gallery_has_every_degradation_and_a_small_picture_of_each(generators):
    rows = json.loads((DOCS / 'results/gallery.json').read_text())
    names = [row['name'] for row in rows['rows']]
    assert names == list(load_study('gallery').degradations())
    assert set(RECIPES) <= set(names)
    assert {row['name']: row['config'] for row in rows['rows']} == json.loads(
        json.dumps(load_study('gallery').degradations())
    )
    assert rows['models'] == {DEFAULT_MODEL: known_models()[DEFAULT_MODEL].sha256}
    text = generators.gallery()
    pictures = re.findall(r'\]\((images/gallery/[\w.]+)\)', text)
    assert len(pictures) == len(names)
    assert {path.name for path in (DOCS / 'images/gallery').iterdir()} == {path.split('/')[-1] for path in pictures}


@pytest.mark.slow
@pytest.mark.parametrize('name', ['line_rain', 'heavy_rain', 'moderate', 'CameraNoise'])
def test_parameters_on_the_page_are_those_of_its_seed(name):
    study = load_study('gallery')
    (row,) = (row for row in json.loads((DOCS / 'results/gallery.json').read_text())['rows'] if row['name'] == name)
    clean = study.photograph('china', study.SIZE)
    drawn = build_degradation(row['config'])(clean, np.random.default_rng(study.SEED))
    assert json.loads(json.dumps(study.shown(drawn['parameters']))) == row['parameters']


def test_pictures_of_the_pages_are_small():
    made = [*(DOCS / 'images').rglob('*.webp')]
    assert len(made) > 20
    assert not [path.name for path in made if path.stat().st_size > 200_000]


def pattern(text: str) -> re.Pattern:
    return re.compile('.*'.join(map(re.escape, re.split('…+', text))), re.DOTALL)


def test_messages_of_the_page_are_those_that_are_raised(generators):
    """Real errors, matched with the texts of the table."""
    texts = [pattern(each.text) for each in generators.messages() if len(each.text.replace('…', '')) > 12]
    assert len(texts) > 500
    assert {each.kind for each in generators.messages()} >= {'ConfigError', 'DataError', 'BusyError'}
    with pytest.raises(ConfigError) as unknown:
        find_weights('wether')
    with pytest.raises(ConfigError) as untrained:
        find_weights('unet_demo')
    with pytest.raises(ConfigError) as misspelt:
        BACKBONES.build({'type': 'UNett'})
    absent = missing_package('reading HEIC', 'heif', ImportError('no', name='pi_heif'))
    for error in (unknown.value, untrained.value, misspelt.value, absent):
        assert any(text.fullmatch(str(error)) for text in texts), error


def test_what_a_message_has_in_the_advice_occurs_in_the_source(generators):
    """The quoted parts of the table `What to do`."""
    page = (DOCS / 'messages.md').read_text().split('## What to do')[1].split('## Kinds')[0]
    quoted = [re.findall(r'`([^`]+)`', line.split('|')[1]) for line in page.splitlines() if line.startswith('| ')][2:]
    texts = '\n'.join(each.text for each in generators.messages())
    source = '\n'.join(path.read_text() for path in (REPO / 'restorebox').rglob('*.py'))
    parts = [part for each in quoted for one in each for part in re.split('…', one) if len(part) > 3]
    assert parts
    assert [part for part in parts if part not in texts and part not in source] == []


def test_each_stored_comparison_with_other_code_has_a_row_with_its_goal_and_its_reason():
    ratios = load_script(DOCS / 'peer_ratios.py')
    rows = list(ratios.rows())
    assert len(rows) == len({(row.what, row.peer) for row in rows})
    stored = json.loads((DOCS / 'results/gain_control.json').read_text())['against_compressai']
    assert sum(row.what.startswith('gain control') for row in rows) == len(stored)
    assert all(row.interval is None or row.interval[0] <= row.ratio <= row.interval[1] for row in rows)
    verdicts = {row: ratios.met(row) for row in rows}
    assert all(
        (verdict == 'met') == (row.ratio <= row.goal + 0.005) for row, verdict in verdicts.items() if not row.memory
    )
    assert 'missed' not in verdicts.values(), 'a row that misses its goal needs a reason'
    assert len(ratios.ratio_table().splitlines()) == len(rows) + 2
