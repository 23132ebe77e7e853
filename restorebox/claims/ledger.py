"""Reading of ``configs/METHOD/claims.yml``: models, budgets, sweeps, and the claims that compare models.

A model has a config for the budget ``paper`` and one for ``small`` (by default the budget's), with ``overrides`` for
the latter. ``row`` is a row of these configs (see :mod:`restorebox.rows`): one name for both budgets, or
``{paper: NAME, small: NAME}``. ``tiny`` and ``medium`` are ``small`` with additional overrides, of the budget and, as
``medium_overrides``, of the model. A run takes minutes at ``small`` and up to three hours of one core at ``medium``.

A claim compares scores of one protocol. A claim about features names an untrained model as its ``control``. Its
``baseline``, trained first, is the side that must restore for the comparison to tell anything: by default ``other``.
``sweeps`` are figures over many models, see :mod:`restorebox.claims.sweeps`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restorebox.claims.entries import MODEL, check_entry
from restorebox.claims.sweeps import Sweep, expand
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.registry import nearest
from restorebox.rows import find_row
from restorebox.yaml_files import read_yaml

BUDGETS = ('tiny', 'small', 'medium', 'paper')
TOP = {'method': str, 'paper': str, 'url': str, 'budgets': dict, 'models': dict, 'sweeps': list, 'claims': list}
OPTIONAL = ('sweeps',)
BUDGET = {'config': str, 'data': str, 'overrides': dict}
# analysis commands -> output file whose 'mean' is added to the scores as correlation.after etc.
ANALYSES = {'analyze-distortions': 'distortions.json', 'analyze-convergence': 'convergence.json'}
CLAIM = {
    'id': str,
    'sentence': str,
    'where': str,
    'metric': str,
    'paper_metric': str,
    'other_metric': str,
    'better': str,
    'other': str,
    'control': str,
    'baseline': str,
    'lower_is_better': bool,
    'tolerance': float,
    'size': float,
    'published': list,
    'why_not': str,
    'explanation': str,
    'caveat': str,
    'explained_at': str,
}
REQUIRED = ('id', 'sentence', 'where', 'metric')
SAME_PROTOCOL = {'psnr_physics': 'psnr_rgb'}  # scores of layers that are pictures, see restorebox.metrics.protocols


@dataclass(frozen=True)
class Spec:
    """Training of a model at a budget: config, row, overrides, and the model to start from."""

    config: str
    overrides: dict[str, Any] = field(default_factory=dict)
    data: str | None = None
    after: str | None = None
    start: Spec | None = None  # training of ``after``
    analysis: str | None = None  # one of ANALYSES
    row: str | None = None

    @property
    def differences(self) -> dict[str, Any]:
        """All differences from the config: those of the row and the overrides."""
        row = find_row(configs_dir() / self.config, self.row).differences if self.row else {}
        return {**row, **self.overrides}


@dataclass(frozen=True)
class Claim:
    """Claim of a paper, and the two models whose scores are compared."""

    method: str
    id: str
    sentence: str
    where: str
    metric: str
    better: str | None = None
    other: str | None = None
    other_metric: str | None = None
    paper_metric: str | None = None
    control: str | None = None
    baseline: str | None = None
    lower_is_better: bool = False
    tolerance: float | None = None
    size: float | None = None
    published: tuple = ()
    why_not: str = ''
    explanation: str = ''  # of a verdict that is not the paper's: scale, ambiguity of the paper, or implementation
    caveat: str = ''  # what limits any verdict
    explained_at: str | None = None  # the budget that both are about; None: all

    def sides(self) -> tuple[tuple[str, str], ...]:
        """Return (model, metric) of the better side and of the other; empty if the claim is not checked by training."""
        if self.better is None or self.other is None:
            return ()
        return (self.better, self.metric), (self.other, self.other_metric or self.metric)

    def models(self) -> tuple[str, ...]:
        """Return the models to train, without repetition, the baseline first."""
        names = (self.baseline or self.other, self.other, self.better, self.control)
        return tuple(dict.fromkeys(name for name in names if name)) if self.sides() else ()


@dataclass(frozen=True)
class Ledger:
    """Content of a method's ``claims.yml``."""

    method: str
    paper: str
    url: str
    budgets: dict[str, dict]
    models: dict[str, dict]
    claims: tuple[Claim, ...]
    sweeps: tuple[Sweep, ...] = ()

    def spec(self, model: str, budget: str) -> Spec | None:
        """Return the training of a model at a budget, or None if there is none."""
        entry, own = self.models[model], self.budgets.get(budget, {})
        after, analysis = entry.get('after'), entry.get('analysis')
        start = self.spec(after, budget) if after else None
        row = entry.get('row')
        if isinstance(row, dict):
            row = row.get('paper' if budget == 'paper' else 'small')
        if budget == 'paper':
            if 'paper' not in entry:
                return None
            return Spec(entry['paper'], dict(entry.get('paper_overrides', {})), None, after, start, analysis, row)
        if 'why' in entry:
            return None
        small = self.budgets['small']
        overrides = {**small.get('overrides', {}), **entry.get('overrides', {})}
        if budget in ('tiny', 'medium'):
            overrides |= own.get('overrides', {})
        if budget == 'medium':
            overrides |= entry.get('medium_overrides', {})
        return Spec(entry.get('small', small['config']), overrides, small.get('data'), after, start, analysis, row)

    def label(self, model: str) -> str:
        """Return a model's display name."""
        return self.models[model].get('label', model)


def _check_order(where: str, name: str, models: dict[str, dict]) -> None:
    """Refuse a model that would start from itself, or from one that does not exist."""
    chain = [name]
    while after := models[chain[-1]].get('after'):
        if after not in models:
            raise ConfigError(f"{where}: after: there is no model '{after}'")
        chain.append(after)
        if len(set(chain)) < len(chain):
            raise ConfigError(f'{where}: after: it starts from itself: {" after ".join(chain)}')


def read_ledger(file: Path) -> Ledger:
    """Read and check one ``claims.yml``.

    Raises:
        ConfigError: the file is invalid; the message has the file, the entry and the key.
    """
    text = read_yaml(file)
    check_entry(str(file), text, TOP, tuple(key for key in TOP if key not in OPTIONAL))
    for name, budget in text['budgets'].items():
        if name not in BUDGETS:
            raise ConfigError(f"{file}: budgets: has no key '{name}'; {nearest(str(name), BUDGETS)}")
        check_entry(f'{file}: budgets.{name}', budget, BUDGET, ('config',) if name == 'small' else ())
    if 'small' not in text['budgets']:
        raise ConfigError(f"{file}: budgets: misses the key 'small'")
    for name, model in text['models'].items():
        check_entry(f'{file}: models.{name}', model, MODEL)
    sweeps, points = expand(str(file), text.get('sweeps', []), text['models'])
    text['models'] |= points
    for name, model in text['models'].items():
        if model.get('analysis') not in (None, *ANALYSES):
            raise ConfigError(f'{file}: models.{name}: analysis: {nearest(model["analysis"], tuple(ANALYSES))}')
        _check_order(f'{file}: models.{name}', name, text['models'])
    claims: list[Claim] = []
    for number, node in enumerate(text['claims'], 1):
        here = f'{file}: claims, number {number}'
        if isinstance(node, dict) and 'id' in node:
            here = f'{file}: claim {node["id"]}'
        check_entry(here, node, CLAIM, REQUIRED)
        for side in ('better', 'other', 'control', 'baseline'):
            if side in ('better', 'other') and side not in node and 'why_not' not in node:
                raise ConfigError(f"{here}: misses the key '{side}' (or why_not, where no training checks it)")
            if side in node and node[side] not in text['models']:
                names = tuple(text['models'])
                raise ConfigError(f"{here}: {side}: there is no model '{node[side]}'; {nearest(node[side], names)}")
        if node.get('explained_at', 'small') not in BUDGETS:
            name = node['explained_at']
            raise ConfigError(f"{here}: explained_at: there is no budget '{name}'; {nearest(name, BUDGETS)}")
        if node['id'] in {claim.id for claim in claims}:
            raise ConfigError(f'{here}: id: occurs twice')
        _check_comparison(here, node, text['models'])
        claims.append(Claim(**{**node, 'method': text['method'], 'published': tuple(node.get('published', ()))}))
    kept = {key: text[key] for key in TOP if key not in ('claims', 'sweeps')}
    return Ledger(**kept, claims=tuple(claims), sweeps=sweeps)


def protocol(metric: str) -> str:
    """Return what a score is comparable by: its protocol and ``@SIZE``, or the group of a measure of features."""
    name, at, size = metric.partition('@')
    return name.partition('.')[0] if '.' in name else SAME_PROTOCOL.get(name, name) + at + size


def _check_comparison(here: str, node: dict, models: dict[str, dict]) -> None:
    metric, second = node['metric'], node.get('other_metric', node['metric'])
    if protocol(metric) != protocol(second):
        raise ConfigError(
            f'{here}: {metric} and {second} are scored by differing protocols ({protocol(metric)} and '
            f'{protocol(second)}); compare scores of one protocol'
        )
    if node.get('baseline', node.get('other')) not in (node.get('better'), node.get('other')):
        raise ConfigError(f"{here}: baseline: '{node['baseline']}' is neither side of the claim")
    if '.' in metric and 'better' in node:
        if 'control' not in node:
            raise ConfigError(f"{here}: {metric} measures features; misses the key 'control', an untrained model")
        for side in ('better', 'other', 'control'):
            if 'analysis' not in models[node[side]]:
                raise ConfigError(f"{here}: {side}: model '{node[side]}' has no analysis, which measures {metric}")


def read_all() -> dict[str, Ledger]:
    """Return method -> ledger for all methods with claims."""
    return {file.parent.name: read_ledger(file) for file in sorted(configs_dir().glob('*/claims.yml'))}


def select(ledgers: dict[str, Ledger], wanted: str | None) -> list[tuple[Ledger, list[Claim]]]:
    """Return the claims selected by ``METHOD`` or ``METHOD/CLAIM``; all if ``wanted`` is empty.

    Raises:
        ConfigError: there is none; the message suggests similar names.
    """
    if not wanted:
        return [(ledger, list(ledger.claims)) for ledger in ledgers.values()]
    method, _, claim = wanted.strip('/').partition('/')
    if method not in ledgers:
        raise ConfigError(f"reproduce: no method '{method}' has claims; {nearest(method, tuple(ledgers))}")
    found = [each for each in ledgers[method].claims if claim in ('', each.id)]
    if not found:
        ids = tuple(each.id for each in ledgers[method].claims)
        raise ConfigError(f"reproduce: {method} has no claim '{claim}'; {nearest(claim, ids)}")
    return [(ledgers[method], found)]
