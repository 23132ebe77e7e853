"""Probes: a change of code that computes the same keeps a stored result valid, any other doesn't."""

import json
import math
import shutil

import pytest

from restorebox.claims import probes, records, reproduction, runs
from restorebox.claims.ledger import read_all, select
from restorebox.errors import ConfigError, RestoreboxError
from tests.claims.test_reproduce import made_up, options  # noqa: F401
from tests.conftest import REPO, long

digest = records.source_digest
CLAIM = 'fdrnet/C2'


def test_scores_are_compared_beyond_rounding():
    assert probes.probe_differences({'psnr_y': 21.3}, {'psnr_y': 21.3 * (1 + 1e-6)}) == []
    assert probes.probe_differences({'psnr_y': 21.3}, {'psnr_y': 21.301}) == ['psnr_y 21.3 -> 21.301']
    assert probes.probe_differences({'a': 1.0}, {}) == ['a 1.0 -> None']
    assert probes.probe_differences({'a': math.nan}, {'a': math.nan}) == []


@pytest.fixture
def stored(tmp_path, made_up):  # noqa: F811
    """A stored claim whose source list names other code."""
    chosen = select(read_all(), CLAIM)
    reproduction.reproduce(chosen, 'small', [0], options(tmp_path))
    docs = tmp_path / 'd'
    for run in runs.plan(chosen, 'small', [0]):
        record = json.loads(run.stored(docs).read_text())
        sources = json.loads((docs / 'sources' / f'{record["sources"]}.json').read_text())
        other = records.store_names({**sources, 'restorebox/pixels.py': 'other'}, docs / 'sources')
        run.stored(docs).write_text(json.dumps({**record, 'sources': other}))
    return made_up, chosen, docs


def changed(chosen, docs):
    return [runs.read_result(run, docs)['changed'] for run in runs.plan(chosen, 'small', [0])]


def test_an_equal_probe_confirms(tmp_path, stored, capsys):
    _, chosen, docs = stored
    assert changed(chosen, docs) == [['restorebox/pixels.py']] * 2
    reproduction.confirm(chosen, options(tmp_path))
    assert 'fdrnet/small/full_s0: confirmed; changed were restorebox/pixels.py' in capsys.readouterr().out
    assert changed(chosen, docs) == [[], []]
    record = runs.read_result(runs.plan(chosen, 'small', [0])[0], docs)
    assert record['confirmed'] == [records.commit()]
    assert record['mean']['psnr_rgb'] == 25.0


def test_another_machine_is_told_from_another_code(tmp_path, stored, capsys, monkeypatch):
    """A probe that rounding changed is compared with that of the code with which the result was valid."""
    given, chosen, docs = stored
    given['probe'] = {'psnr_rgb': 21.1}
    there = {'psnr_rgb': 21.1}
    asked = []
    monkeypatch.setattr(reproduction, 'measure_probe_in', lambda *words: asked.append(words[:3]) or there)
    with pytest.raises(ConfigError, match='no checkout with restorebox and configs'):
        reproduction.confirm(chosen, options(tmp_path), tmp_path)
    for name in ('restorebox', 'configs'):
        shutil.copytree(REPO / name, tmp_path / 'old' / name, ignore=shutil.ignore_patterns('*.safetensors', '*.pyc'))
    reproduction.confirm(chosen, options(tmp_path), tmp_path / 'old')
    assert asked == [], 'the results are stale there, too'
    old = tmp_path / 'old/restorebox/pixels.py'
    monkeypatch.setattr(records, 'source_digest', lambda file: 'other' if file == old else digest(file))  # valid there
    there['psnr_rgb'] = 21.2
    reproduction.confirm(chosen, options(tmp_path), tmp_path / 'old')
    assert 'fdrnet/small/full_s0: stays stale: psnr_rgb 21.2 -> 21.1' in capsys.readouterr().out
    there['psnr_rgb'] = 21.1
    reproduction.confirm(chosen, options(tmp_path), tmp_path / 'old')
    assert 'fdrnet/small/full_s0: confirmed' in capsys.readouterr().out
    assert asked[-1] == (tmp_path / 'old', 'fdrnet', 'no_aux')
    record = runs.read_result(runs.plan(chosen, 'small', [0])[0], docs)
    assert record['probe'] == {'psnr_rgb': 21.1}


def test_a_probe_in_another_checkout_that_fails_is_a_line(tmp_path):
    (tmp_path / 'restorebox').mkdir()
    (tmp_path / 'restorebox' / '__init__.py').write_text('raise ImportError("an old version")')
    with pytest.raises(RestoreboxError, match='the probe of fdrnet/full failed: ImportError: an old version'):
        probes.measure_probe_in(tmp_path, 'fdrnet', 'full', tmp_path / 'w', {'PATH': ''})


def test_another_probe_does_not(tmp_path, stored, capsys):
    given, chosen, docs = stored
    given['probe'] = {'psnr_rgb': 21.1}
    reproduction.confirm(chosen, options(tmp_path))
    assert 'fdrnet/small/full_s0: stays stale: psnr_rgb 21.0 -> 21.1' in capsys.readouterr().out
    assert changed(chosen, docs) == [['restorebox/pixels.py']] * 2


def test_another_config_is_not_confirmed_by_a_probe(tmp_path, stored, capsys):
    _, chosen, docs = stored
    for run in runs.plan(chosen, 'small', [0]):
        record = json.loads(run.stored(docs).read_text())
        run.stored(docs).write_text(json.dumps({**record, 'config_digest': 'other'}))
    reproduction.confirm(chosen, options(tmp_path))
    assert capsys.readouterr().out.count('stays stale: the resolved config') == 2
    assert changed(chosen, docs) == [['restorebox/pixels.py']] * 2


def test_a_changed_analysis_is_not_confirmed_by_a_probe(tmp_path, stored, capsys):
    _, chosen, docs = stored
    analysis = 'restorebox/claims/analyses/convergence.py'
    for run in runs.plan(chosen, 'small', [0]):
        record = json.loads(run.stored(docs).read_text())
        sources = json.loads((docs / 'sources' / f'{record["sources"]}.json').read_text())
        other = records.store_names({**sources, analysis: 'other'}, docs / 'sources')
        run.stored(docs).write_text(json.dumps({**record, 'sources': other}))
    reproduction.confirm(chosen, options(tmp_path))
    assert capsys.readouterr().out.count(f'stays stale: {analysis}: run it again') == 2
    assert all(analysis in each for each in changed(chosen, docs))


def test_a_result_that_changes_during_the_probe_is_kept(tmp_path, stored, capsys, monkeypatch):
    _, chosen, docs = stored
    (first,) = (run for run in runs.plan(chosen, 'small', [0]) if run.model == 'full')

    def measure(*_):
        record = json.loads(first.stored(docs).read_text())
        first.stored(docs).write_text(json.dumps({**record, 'mean': {'psnr_rgb': 30.0}}))
        return record['probe']

    monkeypatch.setattr(reproduction, 'measure_probe', measure)
    reproduction.confirm(chosen, options(tmp_path))
    assert f'{first.name}: has changed meanwhile; not confirmed' in capsys.readouterr().out
    assert runs.read_result(first, docs)['mean'] == {'psnr_rgb': 30.0}


def test_a_probe_that_fails_leaves_the_others(tmp_path, stored, capsys, monkeypatch):
    given, chosen, _ = stored

    def measure(spec, *_):
        if spec.row is None:
            raise RestoreboxError('train ended with exit code 1')
        return given['probe']

    monkeypatch.setattr(reproduction, 'measure_probe', measure)
    reproduction.confirm(chosen, options(tmp_path))
    printed = capsys.readouterr().out
    assert 'fdrnet/full: its probe failed: train ended with exit code 1' in printed
    assert printed.count(': confirmed; changed were') == 1


def test_a_result_without_a_probe_is_named(tmp_path, stored, capsys):
    _, chosen, docs = stored
    for run in runs.plan(chosen, 'small', [0]):
        record = json.loads(run.stored(docs).read_text())
        del record['probe']
        run.stored(docs).write_text(json.dumps(record))
    reproduction.confirm(chosen, options(tmp_path))
    assert 'fdrnet/full: 1 stale results without a probe or with another config' in capsys.readouterr().out


@pytest.mark.slow
@long
def test_a_probe_is_repeatable_and_sees_a_change(tmp_path):
    spec = select(read_all(), CLAIM)[0][0].spec('no_aux', 'tiny')
    environment = runs.run_environment('cpu', one_core=True)
    first = probes.measure_probe(spec, tmp_path, environment)
    assert probes.probe_differences(first, probes.measure_probe(spec, tmp_path, environment)) == []
    spec.overrides['optim_wrapper.optimizer.lr'] = 1.01e-3  # a hundredth more than the config's
    assert probes.probe_differences(first, probes.measure_probe(spec, tmp_path, environment)) != []
    assert list(tmp_path.iterdir()) == []
