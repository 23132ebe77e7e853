"""The ledger of claims: whole, readable, its mistakes named; pages come from stored results alone."""

import functools
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from restorebox.claims.ledger import BUDGETS, SAME_PROTOCOL, read_all, read_ledger, select
from restorebox.claims.pages import write_pages
from restorebox.claims.records import store_names
from restorebox.claims.rows import _comparable
from restorebox.claims.runs import Run, plan, write_json
from restorebox.engine.config import load_config
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.metrics.protocols import LAYER_PROTOCOLS, PROTOCOLS
from tests.conftest import REPO

pytestmark = pytest.mark.slow

LEDGERS = read_all()
SPECS = {}
for one in LEDGERS.values():
    for each in BUDGETS:
        for key in one.models:
            found = one.spec(key, each)
            if found and found not in SPECS.values():
                SPECS[f'{one.method}-{each}-{key}'] = found


def claim(content, number):
    return next(each for each in content['claims'] if each['id'] == number)


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


def test_a_claim_of_equality_allows_what_the_paper_has():
    equal = [claim for ledger in LEDGERS.values() for claim in ledger.claims if claim.tolerance is not None]
    assert len(equal) > 10
    assert [claim.id for claim in equal if claim.size is not None and abs(claim.size) > claim.tolerance] == []


@pytest.mark.parametrize('name', SPECS)
def test_every_model_builds_with_its_overrides(name):
    """Of equal specs one is built."""
    spec = SPECS[name]
    check_config(str(configs_dir() / spec.config), spec.overrides, spec.row)


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
        (
            lambda d: d['models']['full'].update(analysis='x'),
            'models.full: analysis: known: analyze-convergence, analyze-distortions',
        ),
        (lambda d: d.update(claims='x'), "claims is 'x'; it must be a list"),
        (lambda d: d['models']['full'].update(after='x'), "models.full: after: there is no model 'x'"),
        (
            lambda d: (d['models']['full'].update(after='no_aux'), d['models']['no_aux'].update(after='full')),
            'models.full: after: it starts from itself: full after no_aux after full',
        ),
        (lambda d: d['claims'][0].update(metric='psnr_y', other_metric='psnr_rgb'), 'scored by differing protocols'),
        (lambda d: d['claims'][0].update(metric='psnr_y@256', other_metric='psnr_y'), 'scored by differing protocols'),
        (
            lambda d: claim(d, 'C5').pop('control'),
            "claim C5: correlation.after measures features; misses the key 'control'",
        ),
        (lambda d: claim(d, 'C5').update(control='no_aux'), "control: model 'no_aux' has no analysis"),
        (
            lambda d: claim(d, 'C5').update(control='untrianed'),
            "there is no model 'untrianed'; did you mean 'untrained'",
        ),
        (
            lambda d: d['claims'][0].update(explanation='x', explained_at='smal'),
            "explained_at: there is no budget 'smal'; did you mean 'small'",
        ),
        (lambda d: claim(d, 'C5').update(baseline='no_aux'), "baseline: 'no_aux' is neither side of the claim"),
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
    with pytest.raises(ConfigError, match='line 2: no valid YAML'):
        read_ledger(tmp_path / 'claims.yml')


def test_shared_sides_are_trained_once():
    runs = plan(select(LEDGERS, 'fdrnet'), 'small', [0, 1])
    names = [run.name for run in runs]
    assert len(names) == len(set(names))
    assert names.count('fdrnet/small/full_s0') == 1
    row = [run.model for run in plan(select(LEDGERS, 'heavy_rain/C6-psnr'), 'small', [0])]
    assert row == ['residue', 'stage2']


def test_the_baseline_comes_first():
    for name, models in {
        'fdrnet/C2': ['no_aux', 'full'],
        'raindiffusion/C1': ['free', 'free_no_cyc'],
        'raindiffusion/C2-l1': ['teacher', 'no_l1', 'full'],
        'fdrnet/C5': ['full', 'untrained'],
    }.items():
        chosen = select(LEDGERS, name)
        assert [run.model for run in plan(chosen, 'small', [0])] == models
        assert [run.model for run in plan(chosen, 'small', [0], baselines=True)] == models[:-1]


def test_a_metric_of_layers_has_the_protocol_that_the_ledger_says():
    rng = np.random.default_rng(0)
    one, two = rng.random((2, 16, 16, 3))
    for name, same in SAME_PROTOCOL.items():
        assert LAYER_PROTOCOLS[name][2](one, two) == PROTOCOLS[same](one, two)


@pytest.mark.parametrize('method', LEDGERS)
def test_the_sides_of_a_claim_are_tested_alike(method):
    """On the same pictures, cut alike, with the same scores."""

    @functools.cache  # claims share their models
    def tested(model, budget):
        spec = LEDGERS[method].spec(model, budget)
        if spec is None:
            return None
        cfg = load_config(spec.config, spec.overrides, spec.row)
        evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
        # of layers, which baselines do not have, a claim's score is absent where it is not measured
        return cfg.test_dataloader, [each for each in evaluators if each['type'] != 'LayerScores']

    for each in LEDGERS[method].claims:
        for budget in BUDGETS:
            sides = [tested(model, budget) for model, _ in each.sides()]
            if sides and all(sides):
                assert sides[0] == sides[1], f'{each.id} {budget}'


def store(docs, ledger, model, seed, mean, **more):
    """Store a made-up run of the budget small."""
    run = Run(ledger.method, model, 'small', seed, ledger.spec(model, 'small'))
    cost = {'minutes': 9.0, 'samples': 12000, 'device': 'made up'}
    mean = {'input/psnr_rgb': 20.0, **mean}
    code = store_names({}, docs / 'sources')
    write_json(run.stored(docs), {'digest': run.digest, 'mean': mean, 'training': cost, 'sources': code, **more})
    return run.stored(docs)


def verdict(docs, ledger, claim='C2'):
    """Write the pages; return the verdict of a claim, which its page has as well."""
    write_pages({ledger.method: ledger}, docs, REPO / 'restorebox' / 'published')
    rows = json.loads((docs / f'{ledger.method}.json').read_text())['rows']
    found = next(row for row in rows if row['id'] == claim)
    assert f'| {found["verdict"]}' in (docs / f'{ledger.method}.md').read_text()
    return found['verdict']


def test_a_deleted_result_takes_its_verdict_along(tmp_path):
    ledger = LEDGERS['fdrnet']
    for seed in range(2):
        store(tmp_path, ledger, 'full', seed, {'psnr_rgb': 25.0})
        path = store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0 + 0.01 * seed})
    assert verdict(tmp_path, ledger) == 'holds'
    assert (tmp_path / 'fdrnet.png').is_file()
    assert '| full | 24.97/.680 | small (2) |' in (tmp_path / 'published.md').read_text()
    path.unlink()
    assert verdict(tmp_path, ledger) == 'inconclusive'
    for left in tmp_path.glob('runs/*/*/*.json'):
        left.unlink()
    assert verdict(tmp_path, ledger) == 'not run'
    assert not (tmp_path / 'fdrnet.png').exists()


def test_a_baseline_that_does_not_restore_makes_a_claim_void(tmp_path):
    ledger = LEDGERS['fdrnet']
    store(tmp_path, ledger, 'full', 0, {'psnr_rgb': 19.0})
    assert verdict(tmp_path, ledger) == 'not run'  # the baseline is the other side
    store(tmp_path, ledger, 'no_aux', 0, {'psnr_rgb': 19.0})
    (tmp_path / 'runs' / 'fdrnet' / 'small' / 'full_s0.json').unlink()
    assert verdict(tmp_path, ledger) == 'void'
    assert 'does not restore; the other side is not trained' in (tmp_path / 'fdrnet.md').read_text()


def test_other_test_pictures_make_a_claim_void(tmp_path):
    ledger = LEDGERS['fdrnet']
    for seed in range(2):
        store(tmp_path, ledger, 'full', seed, {'psnr_rgb': 25.0})
        store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0, 'input/psnr_rgb': 20.0 + 0.1 * seed})
    assert verdict(tmp_path, ledger) == 'void'
    assert 'tested on different pictures' in (tmp_path / 'fdrnet.md').read_text()


def test_an_untrained_control_decides_a_claim_about_features(tmp_path):
    ledger = LEDGERS['fdrnet']
    means = {'correlation.before': 0.3, 'psnr_y': 25.0, 'input/psnr_y': 20.0}
    for seed in range(3):
        store(tmp_path, ledger, 'full', seed, {**means, 'correlation.after': 0.2 + 0.01 * seed})
    assert verdict(tmp_path, ledger, 'C5') == 'inconclusive'
    for after, before, expected in ((0.3, 20.0, 'holds'), (0.3, 21.0, 'inconclusive'), (0.2, 20.0, 'void')):
        for seed in range(3):
            mean = {**means, 'correlation.after': after + 0.01 * seed, 'input/psnr_y': before}
            store(tmp_path, ledger, 'untrained', seed, mean)
        assert verdict(tmp_path, ledger, 'C5') == expected


@pytest.mark.parametrize('config', [True, False])
def test_a_changed_config_or_source_makes_a_verdict_stale(tmp_path, config):
    ledger = LEDGERS['fdrnet']
    code = store_names({'restorebox/layers/disentangle.py': 'another digest'}, tmp_path / 'sources')
    for seed in range(2):
        store(tmp_path, ledger, 'full', seed, {'psnr_rgb': 25.0}, **({'digest': 'x'} if config else {'sources': code}))
        store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0})
    assert verdict(tmp_path, ledger) == 'stale'
    what = 'config' if config else 'restorebox/layers/disentangle.py'
    assert f'was holds; changed or unknown: {what}' in (tmp_path / 'fdrnet.md').read_text()


def test_stale_seeds_and_seeds_of_other_data_enter_no_mean(tmp_path):
    ledger = LEDGERS['fdrnet']
    for seed, (score, more) in enumerate(
        [(25.0, {'data': 'a'}), (25.1, {'data': 'a'}), (99.0, {'data': 'b'}), (99.0, {'data': 'a', 'digest': 'x'})]
    ):
        store(tmp_path, ledger, 'full', seed, {'psnr_rgb': score}, **more)
        store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0}, data=more['data'])
    row = row_of(tmp_path, ledger, 'C2')
    assert (row['verdict'], row['seeds'], row['size']) == ('holds', [0, 1], pytest.approx(1.05))
    assert row['note'] == 'seed 3 left out: stale; seed 2 left out: trained on other data'
    assert row['verdict'] == 'holds'
    for seed in (0, 1):  # all that are left are of other data or stale
        (tmp_path / f'runs/fdrnet/small/full_s{seed}.json').unlink()
    assert row_of(tmp_path, ledger, 'C2')['seeds'] == [2]


def test_data_of_each_model_are_compared_where_others_lack_them():
    sides = [{seed: {'changed': [], 'data': 'aabb'[seed]} for seed in range(4)} for _ in range(2)]
    for control in ({0: {'changed': [], 'data': 'a'}}, {0: {'changed': [], 'failed': 'x'}}, {}):
        stored, left_out = _comparable([*sides, control])
        assert ([[*each] for each in stored[:2]], left_out) == (
            [[0, 1]] * 2,
            'seeds 2, 3 left out: trained on other data',
        )


def test_sides_of_different_pictures_have_no_difference(tmp_path):
    ledger = LEDGERS['fdrnet']
    for seed in range(2):
        store(tmp_path, ledger, 'full', seed, {'psnr_rgb': 25.0}, digest='x')
        store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0, 'input/psnr_rgb': 20.1})
    row = row_of(tmp_path, ledger, 'C2')
    assert (row['verdict'], row['size'], row['low']) == ('stale', None, None)


def test_a_result_without_its_source_files_is_stale(tmp_path):
    ledger = LEDGERS['fdrnet']
    for seed in range(2):
        store(tmp_path, ledger, 'full', seed, {'psnr_rgb': 25.0}, sources=None)
        store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0})
    assert verdict(tmp_path, ledger) == 'stale'


def row_of(docs, ledger, claim):
    verdict(docs, ledger, claim)
    rows = json.loads((docs / f'{ledger.method}.json').read_text())['rows']
    return next(row for row in rows if row['id'] == claim)


def test_gains_are_those_of_the_compared_seeds(tmp_path):
    ledger = LEDGERS['fdrnet']
    for seed, better in enumerate((25.0, 26.0, 29.0)):
        store(tmp_path, ledger, 'full', seed, {'psnr_rgb': better})
    assert row_of(tmp_path, ledger, 'C2')['gains'] == []  # the other side has not run
    assert row_of(tmp_path, ledger, 'C2')['costs'] == []
    for seed in range(2):
        store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0})
    assert row_of(tmp_path, ledger, 'C2')['gains'] == pytest.approx([5.5, 4.0])


def test_another_picture_of_the_same_model_has_the_gain_of_its_own_score(tmp_path):
    ledger = LEDGERS['heavy_rain']
    means = {'psnr_rgb': 24.0, 'psnr_physics': 21.0, 'psnr_y': 26.0, 'input/psnr_y': 19.0}
    for seed in range(2):
        store(tmp_path, ledger, 'stage2', seed, means)
    assert row_of(tmp_path, ledger, 'C6-psnr')['gains'] == pytest.approx([4.0, 1.0])


def test_the_cost_of_a_model_contains_that_of_its_start(tmp_path):
    ledger = LEDGERS['heavy_rain']
    for model in ('none', 'residue', 'stage2'):
        store(tmp_path, ledger, model, 0, {'psnr_y': 24.0, 'input/psnr_y': 19.0})
    row = row_of(tmp_path, ledger, 'C6-none')  # stage 2 after stage 1, and no decomposition
    assert [(cost['samples'], cost['minutes']) for cost in row['costs']] == [(24_000, 18.0), (12_000, 9.0)]
    assert '| 24000 / 12000 samples, up to 18.0 / 9.0 min, made up |' in (tmp_path / 'heavy_rain.md').read_text()


def test_a_caveat_stands_beside_every_verdict(tmp_path):
    ledger = LEDGERS['fdrnet']
    one = replace(next(c for c in ledger.claims if c.id == 'C2'), explanation='too few steps', caveat='one set only')
    ledger = replace(ledger, claims=(one,))
    assert row_of(tmp_path, ledger, 'C2')['explanation'] == ''  # not run
    for full, shown in ((23.0, 'too few steps one set only'), (25.0, 'one set only')):
        for seed in range(2):
            store(tmp_path, ledger, 'full', seed, {'psnr_rgb': full})
            store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0})
        assert row_of(tmp_path, ledger, 'C2')['explanation'] == shown


def test_what_does_not_hold_is_explained(tmp_path):
    ledger = LEDGERS['fdrnet']
    one = replace(next(c for c in ledger.claims if c.id == 'C2'), explanation='too few steps')
    ledger = replace(ledger, claims=(one,))
    for full, shown in ((23.0, True), (25.0, False)):
        for seed in range(2):
            store(tmp_path, ledger, 'full', seed, {'psnr_rgb': full})
            store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0})
        assert verdict(tmp_path, ledger) == ('contradicted' if shown else 'holds')
        assert ('too few steps' in (tmp_path / 'fdrnet.md').read_text()) == shown


def test_an_explanation_is_shown_at_its_budget(tmp_path):
    ledger = LEDGERS['fdrnet']
    one = next(c for c in ledger.claims if c.id == 'C2')
    for seed in range(2):
        store(tmp_path, ledger, 'full', seed, {'psnr_rgb': 23.0})
        store(tmp_path, ledger, 'no_aux', seed, {'psnr_rgb': 24.0})
    for budget, shown in (('small', True), ('medium', False)):
        explained = replace(ledger, claims=(replace(one, explanation='too few steps', explained_at=budget),))
        assert bool(row_of(tmp_path, explained, 'C2')['explanation']) == shown


def test_every_stored_contradiction_is_explained():
    unexplained = [
        (method, row['id'], row['budget'])
        for method in LEDGERS
        for row in json.loads((REPO / 'docs' / 'claims' / f'{method}.json').read_text())['rows']
        if row['verdict'] == 'contradicted' and not row['explanation']
    ]
    assert not unexplained


def test_committed_pages_are_what_is_stored(tmp_path):
    docs = REPO / 'docs' / 'claims'
    for file in (*docs.glob('runs/*/*/*.json'), *docs.glob('sources/*.json')):
        copy = tmp_path / file.relative_to(docs)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text())
    write_pages(LEDGERS, tmp_path, REPO / 'restorebox' / 'published')
    for method in LEDGERS:
        tables = [json.loads((folder / f'{method}.json').read_text())['rows'] for folder in (docs, tmp_path)]
        if any(row['verdict'] == 'stale' for rows in tables for row in rows):
            continue  # a change of code makes a verdict stale, which is no mistake of the page
        for name in (f'{method}.json', f'{method}.md'):
            assert (tmp_path / name).read_text() == (docs / name).read_text(), f'{name}: restorebox reproduce --render'
