"""Selection and execution of sweeps: those of the ledgers, and those of any config."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

from restorebox.claims.ledger import Ledger, read_all
from restorebox.claims.reproduction import Options, execute_runs, show_plan
from restorebox.claims.runs import Run, plan_models
from restorebox.claims.sweeps import Sweep, expand
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.registry import nearest

Chosen = tuple[Ledger, Sweep]
NO_ROW = 'none'  # the config itself
OWN_KEYS = ('randomness', 'work_dir', 'resume', 'launcher')  # set by the sweep for each run


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

    Names of runs and files contain hashes of the config's path, the key, the rows and the values, so that a sweep never
    takes the place of another's results.

    Raises:
        ConfigError: there is no such config, row, key or score, the sweep sets the key itself, a value is given twice,
            or ``over`` has another form.
    """
    from restorebox.engine.build_check import known_scores
    from restorebox.engine.config import find_config, load_config
    from restorebox.engine.running import check_config

    key, equals, text = over.partition('=')
    values = _constants(text)
    if not equals or not key or not values:
        raise ConfigError(f'--over {over}: must be KEY=V1,V2,..., for example model.generator.backbone.levels=1,3,5')
    if any(values[i] in values[:i] for i in range(len(values))):
        raise ConfigError(f'--over {over}: a value is given twice')
    if key.partition('.')[0] in OWN_KEYS:
        raise ConfigError(f'--over {over}: the sweep sets {key.partition(".")[0]} for each run; --seeds sets the seeds')
    file, inside = find_config(config).resolve(), configs_dir().resolve()
    path = file.relative_to(inside).as_posix() if file.is_relative_to(inside) else str(file)
    models: dict[str, dict] = {}
    curves: dict[str, dict] = {}
    for row in dict.fromkeys(rows):
        name, taken = _name(row), None if row == NO_ROW else row
        models[name] = {'paper': path, **({'row': taken} if taken else {})}
        named = all(isinstance(value, (int, float)) for value in values)
        points = {_name(str(value)): {'label': str(value), 'paper_overrides': {key: value}} for value in values}
        given = {'key': key, 'values': values} if named else {'points': points}
        curves[name] = {'label': taken or file.stem, 'model': name, **given}
        for value in values:
            check_config(str(file), {key: value}, taken)
        known = known_scores(load_config(str(file), {key: values[0]}, taken).to_dict(), 'test')
        if known is not None and score not in known:
            raise ConfigError(f"--score {score}: {config} doesn't measure it; {nearest(score, known)}")
    entry = {
        'id': _name(f'{path}.{key}', key.rpartition('.')[2]),
        'where': path,
        'axis': key,
        'metric': score,
        'curves': curves,
    }
    sweeps, points = expand('sweep', [entry], models)
    ledger = Ledger(file.stem, '', '', {'small': {}}, models | points, (), sweeps)
    return ledger, sweeps[0]


def _constants(text: str) -> list[Any]:
    """Return the values of a list with commas, as Python constants, lists among them, or words; empty for no list."""
    try:
        return list(ast.literal_eval(f'({text},)'))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        words = [word.strip() for word in text.split(',')]
        return [_constant(word) for word in words] if all(words) else []


def _constant(word: str) -> Any:
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return word


def _name(text: str, shown: str | None = None) -> str:
    """Return a part of file names for a text: its letters, digits and dots, and a hash of it."""
    readable = re.sub(r'[^A-Za-z0-9.]+', '.', text if shown is None else shown)[-40:].strip('.')
    return f'{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}'


def _runs(chosen: Chosen, budget: str, seeds: list[int]) -> list[Run]:
    ledger, sweep = chosen
    runs = plan_models([(ledger, model) for model in sweep.models()], budget, seeds)
    if not runs:
        raise ConfigError(f'sweep: {ledger.method}/{sweep.id} has no run at the budget {budget}')
    return runs


def show_sweep_plan(
    chosen: Chosen, budget: str, seeds: list[int], docs: Path, work: Path, data_root: str | None = None
) -> list[Run]:
    """Print a line per run, and the total time; return the runs.

    Args:
        chosen: ledger and sweep.
        budget: a key of ``BUDGETS``.
        seeds: seeds of all points.
        docs: folder of the stored results.
        work: folder of the work directories.
        data_root: folder of the pictures if it was given.

    Raises:
        ConfigError: the sweep has no run at the budget, or see :func:`restorebox.claims.reproduction.show_plan`.
    """
    runs = _runs(chosen, budget, seeds)
    show_plan(runs, docs, work, data_root, {model: chosen[0].label(model) for model in chosen[1].models()})
    return runs


def execute_sweep(
    chosen: Chosen, budget: str, seeds: list[int], *, work: Path, docs: Path, data_root: str | None, device: str
) -> Executed:
    """Execute the runs of a sweep that have no valid result, write its figure after each, and print the scores.

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
    from restorebox.claims.sweep_pages import sweep_content, sweep_lines, write_sweep

    ledger, sweep = chosen
    runs = show_sweep_plan(chosen, budget, seeds, docs, work, None if budget == 'tiny' else data_root)

    def draw() -> None:
        write_sweep(ledger, sweep, budget, docs)

    failed = execute_runs(runs, Options(work, docs, data_root, device, draw))
    for line in sweep_lines(sweep_content(ledger, sweep, budget, docs)):
        print(line)
    return Executed(len(failed), write_sweep(ledger, sweep, budget, docs))
