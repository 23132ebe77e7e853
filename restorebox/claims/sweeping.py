"""Selection and execution of sweeps: those of the ledgers, and those of any config."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

from restorebox.claims.ledger import Ledger, read_all
from restorebox.claims.reproduction import Options, execute_runs, show_plan
from restorebox.claims.runs import Run, plan_models
from restorebox.claims.sweeps import Sweep, expand
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.registry import nearest

Chosen = tuple[Ledger, Sweep]
NO_ROW = 'none'  # the config itself


class Executed(NamedTuple):
    """What came of a sweep: number of failed runs, and the picture of its scores, None without any."""

    failed: int
    picture: Path | None


def list_sweeps() -> None:
    """Print a line per sweep."""
    found = [(ledger, sweep) for ledger in read_all().values() for sweep in ledger.sweeps]
    for ledger, sweep in found:
        points = sum(len(curve.points) for curve in sweep.curves)
        print(f'{ledger.method}/{sweep.id}: {sweep.metric} over {sweep.axis}, {points} points. {sweep.where}')
    print(f'{len(found)} sweeps')


def select_sweep(wanted: str) -> Chosen:
    """Return the sweep ``METHOD/SWEEP``.

    Raises:
        ConfigError: there is none; the message suggests similar names.
    """
    known = {
        f'{ledger.method}/{sweep.id}': (ledger, sweep) for ledger in read_all().values() for sweep in ledger.sweeps
    }
    if wanted not in known:
        raise ConfigError(f"sweep: there is no sweep '{wanted}'; {nearest(wanted, tuple(known))}")
    return known[wanted]


def sweep_of_config(config: str, over: str, rows: list[str], score: str) -> Chosen:
    """Return a sweep of a config, and a ledger with its models at the budget ``paper``, which has no overrides.

    Args:
        config: a config file, found as :func:`~restorebox.engine.config.find_config` does.
        over: ``KEY=V1,V2,...``: the dotted key and its values, as Python constants or words.
        rows: names of rows, one curve each; ``none`` is the config itself.
        score: the score to draw.

    Raises:
        ConfigError: there is no such config, row or key, a value is given twice, or ``over`` has another form.
    """
    from restorebox.engine.config import find_config
    from restorebox.engine.running import check_config

    key, equals, text = over.partition('=')
    values = [_constant(word) for word in text.split(',')]
    if not equals or not key or not all(word.strip() for word in text.split(',')):
        raise ConfigError(f'--over {over}: must be KEY=V1,V2,..., for example model.generator.backbone.levels=1,3,5')
    if len({str(value) for value in values}) < len(values):
        raise ConfigError(f'--over {over}: a value is given twice')
    file, inside = find_config(config).resolve(), configs_dir().resolve()
    path = file.relative_to(inside).as_posix() if file.is_relative_to(inside) else str(file)
    models: dict[str, dict] = {}
    curves: dict[str, dict] = {}
    for number, row in enumerate(dict.fromkeys(rows)):
        models[f'row{number}'] = {'paper': path, **({} if row == NO_ROW else {'row': row})}
        named = all(isinstance(value, (int, float)) for value in values)
        points = {f'v{i}': {'label': str(value), 'paper_overrides': {key: value}} for i, value in enumerate(values)}
        given = {'key': key, 'values': values} if named else {'points': points}
        curves[f'row{number}'] = {'label': file.stem if row == NO_ROW else row, 'model': f'row{number}', **given}
        for value in values:
            check_config(str(file), {key: value}, None if row == NO_ROW else row)
    entry = {
        'id': key.rpartition('.')[2].replace('_', '.'),
        'where': path,
        'axis': key,
        'metric': score,
        'curves': curves,
    }
    sweeps, points = expand('sweep', [entry], models)
    ledger = Ledger(file.stem, '', '', {'small': {}}, models | points, (), sweeps)
    return ledger, sweeps[0]


def _constant(word: str) -> object:
    try:
        return ast.literal_eval(word.strip())
    except (ValueError, SyntaxError):
        return word.strip()


def _runs(chosen: Chosen, budget: str, seeds: list[int]) -> list[Run]:
    ledger, sweep = chosen
    runs = plan_models([(ledger, model) for model in sweep.models()], budget, seeds)
    if not runs:
        raise ConfigError(f'sweep: {ledger.method}/{sweep.id} has no run at the budget {budget}')
    return runs


def show_sweep_plan(chosen: Chosen, budget: str, seeds: list[int], docs: Path) -> None:
    """Print a line per run, and the total time.

    Raises:
        ConfigError: the sweep has no run at the budget.
    """
    show_plan(_runs(chosen, budget, seeds), docs)


def execute_sweep(
    chosen: Chosen, budget: str, seeds: list[int], *, work: Path, docs: Path, data_root: str | None, device: str
) -> Executed:
    """Execute the runs of a sweep that have no valid result, and write its figure after each.

    Args:
        chosen: ledger and sweep.
        budget: a key of ``BUDGETS``.
        seeds: seeds of all points.
        work: folder of the work directories.
        docs: folder of the stored results and the figure.
        data_root: folder of all data sets; None for those of the budget.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        ConfigError: the sweep has no run at the budget.
    """
    from restorebox.claims.sweep_pages import write_sweep

    ledger, sweep = chosen
    runs = _runs(chosen, budget, seeds)
    show_plan(runs, docs)

    def draw() -> None:
        write_sweep(ledger, sweep, budget, docs)

    failed = execute_runs(runs, Options(work, docs, data_root, device, draw))
    return Executed(len(failed), write_sweep(ledger, sweep, budget, docs))
