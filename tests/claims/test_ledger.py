"""The ledger of claims: whole, readable, its mistakes named; pages come from stored results alone."""

import functools
import json
from dataclasses import replace

import pytest
import yaml

from restorebox.claims.ledger import BUDGETS, read_all, read_ledger, select
from restorebox.claims.pages import write_pages
from restorebox.claims.runs import Run, plan, write_json
from restorebox.engine.config import check_override, load_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from tests.conftest import REPO

pytestmark = pytest.mark.slow

LEDGERS = read_all()
SPECS = {}
for one in LEDGERS.values():
    for each in BUDGETS:
        for key in one.models:
            if found := one.spec(key, each):
                SPECS[f'{one.method}-{each}-{key}'] = found


@functools.cache
def loaded(config, row):
    return load_config(configs_dir() / config, row=row)


def test_every_claim_of_the_five_papers():
    assert {method: len(ledger.claims) >= 11 for method, ledger in LEDGERS.items()} == dict.fromkeys(
        ('cclgan', 'fdrnet', 'heavy_rain', 'infoaccum', 'raindiffusion'), True
    )
    numbers = {(c.method, c.id.split('-')[0]) for ledger in LEDGERS.values() for c in ledger.claims}
    assert len(numbers) >= 34


def test_published_sizes_are_differences():
    for ledger in LEDGERS.values():
        for claim in ledger.claims:
            if len(claim.published) == 2 and claim.size is not None:
                sign = -1 if claim.lower_is_better else 1
                assert sign * (claim.published[0] - claim.published[1]) == pytest.approx(claim.size, abs=0.006)


@pytest.mark.parametrize('method', LEDGERS)
def test_configs_of_all_sides_load(method):
    for name, spec in SPECS.items():
        if name.startswith(f'{method}-'):
            cfg = loaded(spec.config, spec.row)
            for key in spec.overrides:
                check_override(cfg, key)


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda d: d['claims'][0].update(metrik='x'), "claim C1: has no key 'metrik'; did you mean 'metric'"),
        (lambda d: d['claims'][0].pop('metric'), "claim C1: misses the key 'metric'"),
        (lambda d: d['claims'][0].update(better='ful'), "better: there is no model 'ful'; did you mean 'full'"),
        (lambda d: d['claims'][0].update(size='big'), "size is 'big'; it must be a float"),
        (lambda d: d['claims'].append(d['claims'][0]), 'claim C1: id: occurs twice'),
        (lambda d: d.update(budgets={}), "budgets: misses the key 'small'"),
        (lambda d: d['models']['full'].update(confg='x'), "models.full: has no key 'confg'"),
        (lambda d: d['models']['full'].update(analysis='x'), 'models.full: analysis: known: analyze-distortions'),
        (lambda d: d.update(claims='x'), "claims is 'x'; it must be a list"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path, change, expected):
    content = yaml.safe_load((configs_dir() / 'fdrnet' / 'claims.yml').read_text())
    change(content)
    file = tmp_path / 'claims.yml'
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as error:
        read_ledger(file)
    assert expected in str(error.value)
    assert str(file) in str(error.value)
    assert '\n' not in str(error.value)


def test_no_yaml_names_the_line(tmp_path):
    (tmp_path / 'claims.yml').write_text('method: x\nclaims: [\n')
    with pytest.raises(ConfigError, match='line 3: no valid YAML'):
        read_ledger(tmp_path / 'claims.yml')


def test_shared_sides_are_trained_once():
    runs = plan(select(LEDGERS, 'fdrnet'), 'small', [0, 1])
    names = [run.name for run in runs]
    assert len(names) == len(set(names))
    assert names.count('fdrnet/small/full_s0') == 1
    row = [run.model for run in plan(select(LEDGERS, 'heavy_rain/C6-psnr'), 'small', [0])]
    assert row == ['residue', 'stage2']


def test_a_deleted_result_takes_its_verdict_along(tmp_path):
    ledger = LEDGERS['fdrnet']
    for seed in range(3):
        for model, score in (('full', 25.0), ('no_aux', 24.0 + 0.1 * seed)):
            run = Run('fdrnet', model, 'small', seed, ledger.spec(model, 'small'))
            path = run.stored(tmp_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            cost = {'minutes': 9.0, 'samples': 12000, 'device': 'made up'}
            path.write_text(json.dumps({'digest': run.digest, 'mean': {'psnr_rgb': score}, 'training': cost}))

    def verdict():
        write_pages({'fdrnet': ledger}, tmp_path, REPO / 'docs' / 'published')
        rows = json.loads((tmp_path / 'fdrnet.json').read_text())['rows']
        found = next(row for row in rows if row['id'] == 'C2')
        assert f'| {found["verdict"]}' in (tmp_path / 'fdrnet.md').read_text()
        return found['verdict']

    assert verdict() == 'reproduced'
    assert (tmp_path / 'fdrnet.png').is_file()
    assert '| full | 24.97/.680 | small (3) |' in (tmp_path / 'published.md').read_text()
    path.unlink()
    assert verdict() == 'insufficient seeds'
    for left in tmp_path.glob('runs/*/*/*.json'):
        left.unlink()
    assert verdict() == 'not run'
    assert not (tmp_path / 'fdrnet.png').exists()


def test_a_repetition_has_a_verdict_of_its_own(tmp_path):
    ledger = LEDGERS['fdrnet']

    def pages(last):
        for seed in range(6):
            for model, score in (('full', 25.0), ('no_aux', last if seed == 5 else 24.0)):
                run = Run('fdrnet', model, 'small', seed, ledger.spec(model, 'small'))
                write_json(run.stored(tmp_path), {'digest': run.digest, 'mean': {'psnr_rgb': score}})
        write_pages({'fdrnet': ledger}, tmp_path, REPO / 'docs' / 'published')
        return (tmp_path / 'fdrnet.md').read_text(), (tmp_path / 'README.md').read_text()

    page, index = pages(24.0)
    assert '(by themselves seeds 0, 1, 2: reproduced; 3, 4, 5: reproduced)' in page
    assert 'other seeds: 1. The same verdict: fdrnet/C2.' in index
    page, index = pages(25.5)
    assert '| direction only (by themselves seeds 0, 1, 2: reproduced; 3, 4, 5: direction only)' in page
    assert 'The same verdict: none; another one: fdrnet/C2.' in index


def test_what_is_not_reproduced_is_explained(tmp_path):
    ledger = LEDGERS['fdrnet']
    claim = replace(next(c for c in ledger.claims if c.id == 'C2'), explanation='it is the weather')
    ledger = replace(ledger, claims=(claim,))
    for full, shown in ((23.0, True), (25.0, False)):
        for seed in range(3):
            for model, score in (('full', full), ('no_aux', 24.0)):
                run = Run('fdrnet', model, 'small', seed, ledger.spec(model, 'small'))
                write_json(run.stored(tmp_path), {'digest': run.digest, 'mean': {'psnr_rgb': score}})
        write_pages({'fdrnet': ledger}, tmp_path, REPO / 'docs' / 'published')
        assert ('it is the weather' in (tmp_path / 'fdrnet.md').read_text()) == shown
    unexplained = [
        (method, row['id'], row['budget'])
        for method in LEDGERS
        for row in json.loads((REPO / 'docs' / 'claims' / f'{method}.json').read_text())['rows']
        if row['verdict'] == 'not reproduced' and not row['explanation']
    ]
    assert not unexplained


def test_committed_pages_are_what_is_stored(tmp_path):
    docs = REPO / 'docs' / 'claims'
    for file in docs.glob('runs/*/*/*.json'):
        copy = tmp_path / file.relative_to(docs)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text())
    write_pages(LEDGERS, tmp_path, REPO / 'docs' / 'published')
    for page in [*tmp_path.glob('*.md'), *tmp_path.glob('*.json')]:
        assert page.read_text() == (docs / page.name).read_text(), f'{page.name}: restorebox reproduce --render'
