"""Order of the runs of claims: the baselines first, then the other models of the claims whose baseline restores."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from restorebox.claims.ledger import BUDGETS, Claim, Ledger
from restorebox.claims.probes import measure_probe, measure_probe_in, probe_differences
from restorebox.claims.records import changed, code_identity, data_names, data_roots, names_digest
from restorebox.claims.rows import results, row, rows, side
from restorebox.claims.runs import (
    Run,
    execute,
    is_running,
    minutes_known,
    plan,
    read_result,
    run_environment,
    to_do,
    to_execute,
    write_json,
)
from restorebox.errors import ConfigError, RestoreboxError
from restorebox.processes import own_command, own_environment

Chosen = list[tuple[Ledger, list[Claim]]]
ONE_CORE = 'medium'  # the budget whose runs take hours: a single thread at low priority
LOW_PRIORITY = 19
ANALYSES_FOLDER = 'restorebox/claims/analyses/'


class Options(NamedTuple):
    """How and where runs are executed.

    Attributes:
        work: folder of the work directories.
        docs: folder of pages and stored results.
        data_root: folder of all data sets; None for those of the budgets.
        device: auto, cpu, cuda or cuda:N.
        after_each: called after each run, to write the pages.
    """

    work: Path
    docs: Path
    data_root: str | None
    device: str
    after_each: Callable[[], None]


def reproduce(chosen: Chosen, budget: str, seeds: list[int], options: Options) -> list[Run]:
    """Execute the runs of the claims that have no valid result, and print a line per run.

    The baseline of each claim is trained first, with the first seed. A claim whose baseline does not restore tells
    nothing unless its other side is known to restore: its other models are not trained, and a line says so. ``tiny``
    has no such condition.

    Returns:
        The runs that failed.
    """
    failed: list[Run] = []
    if budget != 'tiny':
        failed += execute_runs(plan(chosen, budget, seeds[:1], baselines=True), options)
        chosen = [
            (ledger, [one for one in claims if _tells(ledger, one, budget, options.docs)]) for ledger, claims in chosen
        ]
    lost = {run.name for run in failed}
    return failed + execute_runs([run for run in plan(chosen, budget, seeds) if run.name not in lost], options)


def execute_runs(runs: Sequence[Run], options: Options) -> list[Run]:
    """Execute the runs of :func:`to_execute`, and the probe of each model; return those that failed.

    Runs of the budget ``medium`` get a single thread, and the process the lowest priority.
    """
    if any(run.budget == ONE_CORE for run in runs):
        os.nice(max(0, LOW_PRIORITY - os.nice(0)))
    todo, failed = to_execute(runs, options.docs, options.work), []
    probes: dict[tuple[str, str], dict[str, float]] = {}
    for number, run in enumerate(todo, 1):
        began = time.perf_counter()
        environment = run_environment(options.device, one_core=run.budget == ONE_CORE)
        result = execute(run, options.work, options.docs, data_root=options.data_root, environment=environment)
        if 'failed' in result:
            failed.append(run)
        elif run.tiny:
            key = (run.method, run.model)
            try:
                probes[key] = probes.get(key) or measure_probe(run.tiny, options.work, environment)
                write_json(run.stored(options.docs), {**result, 'probe': probes[key]})
            except RestoreboxError as error:  # the result itself is complete
                print(f'{run.name}: its probe failed, so that no later change of code can be confirmed: {error}')
        state = f'failed: {result["failed"]}' if 'failed' in result else 'done'
        print(f'[{number}/{len(todo)}] {run.name}: {state} ({(time.perf_counter() - began) / 60:.1f} min)', flush=True)
        options.after_each()
    return failed


def confirm(chosen: Chosen, options: Options, against: Path | None = None) -> None:
    """Run the probes of stale results, and confirm the results whose probe and config are what they were.

    A line per model says which files have changed and what came of it. See :mod:`restorebox.claims.probes`.

    Args:
        chosen: ledgers and claims.
        options: folders and device.
        against: a checkout of another version. Where the stored probe differs, that of this version is measured on this
            machine instead, for the results that are valid there.

    Raises:
        ConfigError: ``against`` is no checkout.
    """
    if against and not ((against / 'restorebox').is_dir() and (against / 'configs').is_dir()):
        raise ConfigError(f'{against}: no checkout with restorebox and configs; make one with git worktree add')
    for ledger, _ in chosen:
        for model in ledger.models:
            spec, stale = ledger.spec(model, 'tiny'), _stale(ledger, model, options.docs)
            if spec is None or not stale:
                continue
            with_probe = [(run, one) for run, one in stale if 'probe' in one and one['changed'] != ['config']]
            name = f'{ledger.method}/{model}'
            if len(with_probe) < len(stale):
                print(f'{name}: {len(stale) - len(with_probe)} stale results without a probe or with another config')
            if not with_probe:
                continue
            try:
                now = measure_probe(spec, options.work, run_environment(options.device))
            except RestoreboxError as error:
                print(f'{name}: its probe failed: {error}')
                continue
            there: dict[str, float] = {}
            for run, one in with_probe:
                different = probe_differences(one['probe'], now)
                if different and against and not changed(one, options.docs, against):
                    try:
                        environment = run_environment(options.device)
                        there = there or measure_probe_in(against, ledger.method, model, options.work, environment)
                        different = probe_differences(there, now)
                    except RestoreboxError as error:
                        different = [str(error)]
                # the few values of a probe's training say little about an analysis of a long one
                different += [f'{file}: run it again' for file in one['changed'] if file.startswith(ANALYSES_FOLDER)]
                made_by = code_identity(
                    run.spec.config, run.spec.row, run.spec.overrides, options.docs, analysis=run.spec.analysis
                )
                if made_by['config_digest'] != one['config_digest']:
                    different.append('the resolved config')
                if different:
                    print(f'{run.name}: stays stale: {different[0]}')
                    continue
                kept = {key: value for key, value in one.items() if key != 'changed'}
                if json.loads(run.stored(options.docs).read_bytes()) != kept:  # a run has ended during the probe
                    print(f'{run.name}: has changed meanwhile; not confirmed')
                    continue
                confirmed = [*one.get('confirmed', []), made_by['commit']]
                more = {'sources': made_by['sources'], 'confirmed': confirmed, 'probe': now}
                write_json(run.stored(options.docs), {**kept, **more})
                print(f'{run.name}: confirmed; changed were {", ".join(one["changed"][:3])}')


def _stale(ledger: Ledger, model: str, docs: Path) -> list[tuple[Run, dict]]:
    """Return the stale results of a model at the budgets that have probes."""
    found = []
    for budget in ('small', 'medium'):
        spec = ledger.spec(model, budget)
        if spec is None:
            continue
        for seed, one in results(ledger, model, budget, docs).items():
            if one['changed'] and 'failed' not in one:
                found.append((Run(ledger.method, model, budget, seed, spec), one))
    return found


def _tells(ledger: Ledger, claim: Claim, budget: str, docs: Path) -> bool:
    """Return whether a side of a claim restores: the baseline, or the other one by the runs it has; else print a line.

    The mean is over the valid runs.
    """
    sides = dict(claim.sides())
    baseline = claim.baseline or claim.other
    if baseline is None or ledger.spec(baseline, budget) is None:
        return True
    measured = {}
    for model, metric in sides.items():
        valid = {seed: one for seed, one in results(ledger, model, budget, docs).items() if not one['changed']}
        measured[model] = side(valid, metric)
    tells = measured[baseline].improves or any(one.gains and one.improves for one in measured.values())
    if not tells:
        own = measured[baseline]
        print(
            f'{ledger.method}/{claim.id}: its baseline, {ledger.label(baseline)}, does not restore at {budget}: '
            f'gain over the input {statistics.fmean(own.gains.values()):+.3f}, needed {own.margin:+g}; '
            'the other models are not trained',
            flush=True,
        )
    return tells


def show_plan(
    runs: Sequence[Run],
    docs: Path,
    work: Path,
    data_root: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Print a line per run, and the total time.

    Args:
        runs: the runs.
        docs: folder of pages and stored results.
        work: folder of the work directories.
        data_root: folder of the pictures if it was given.
        labels: model -> what to call it besides.

    Raises:
        ConfigError: there is no such folder; or a stored result was made with other pictures.
    """
    for run in runs:
        stored = None if to_do(run, docs) else read_result(run, docs)
        if stored and stored.get('data') is not None:
            _check_pictures(run, stored['data'], docs, data_root)
    total, unknown, left = 0.0, 0, 0
    executed = {run.name for run in to_execute(runs, docs, work)}
    for run in runs:
        known, result = minutes_known(run, docs), read_result(run, docs)
        name = run.name if not labels else f'{run.name} ({labels.get(run.model, run.model)})'
        if run.name not in executed:
            print(f'  done   {name}')
            continue
        left, total, unknown = left + 1, total + (known or 0), unknown + (known is None)
        why = ''
        if result and result['changed']:
            why = f' (stale, changed or unknown: {result["changed"][0]})'
        elif result and 'failed' not in result:
            why = f' (done, but another run starts from its weights, which are not in {work})'
        print(f'  to do  {name}: ' + ('time unknown' if known is None else f'about {known:.1f} min') + why)
    parts = [f'{left} of {len(runs)} runs to do']
    parts += [f'about {total:.0f} min for {left - unknown}'] if left > unknown else []
    parts += [f'time unknown for {unknown}'] if unknown else []
    print(', '.join(parts), flush=True)


def _check_pictures(run: Run, digest: str, docs: Path, data_root: str | None) -> None:
    """Refuse to count a stored result as done if the pictures differ; without them here nothing is checked."""
    if run.budget == 'tiny' and data_root is None:  # synthetic pictures
        return
    spec = run.spec
    roots = data_roots(spec.config, spec.row, spec.overrides, data_root or spec.data)
    if data_root is None and not all(root.is_dir() for root in roots):
        return
    names: dict[str, str] = {}
    for root in roots:
        names |= data_names(root)
    if names_digest(names) != digest:
        raise ConfigError(
            f'{run.name} has a stored result of other pictures than those in {", ".join(map(str, roots))}; keep yours '
            f'apart by --docs FOLDER, or delete {run.stored(docs)} to run it again'
        )


def show_verdicts(chosen: Chosen, budget: str, docs: Path) -> None:
    """Print the verdict of each claim at a budget, or why there is no run, and the pages."""
    for ledger, claims in chosen:
        for claim in claims:
            print(_verdict(ledger, row(ledger, claim, budget, docs)))
        print(f'page: {docs / ledger.method}.md')


def list_claims(chosen: Chosen) -> None:
    """Print a line per claim."""
    for ledger, claims in chosen:
        for claim in claims:
            size = '' if claim.size is None else f' ({claim.size:+g})'
            print(f'{ledger.method}/{claim.id}: {claim.sentence}{size}. {claim.where}')
    print(f'{sum(len(claims) for _, claims in chosen)} claims')


def _verdict(ledger: Ledger, one: dict) -> str:
    """Format a row of :func:`restorebox.claims.rows.row` as a line."""
    figures = '' if one['size'] is None else f', {one["size"]:+.4g}'
    if one['low'] is not None:
        figures += f' ({one["low"]:+.4g} to {one["high"]:+.4g})'
    figures += '' if one['ratio'] is None else f', {one["ratio"]:.2f} of the size in the paper'
    more = ''.join(f'; {text}' for text in (one['note'], one['needs'] and f'needs {one["needs"]}') if text)
    return f'{ledger.method}/{one["id"]} {one["budget"]}: {one["verdict"]}{figures}{more}'.replace(' :', ':')


def show_status(chosen: Chosen, docs: Path, work: Path) -> None:
    """Print a line per verdict with what it needs, the running runs, and the counts of stored ones."""
    for ledger, claims in chosen:
        for one in rows(ledger, claims, docs):
            print(_verdict(ledger, one))
    for run in running(chosen, work):
        print(f'running: {run.name}')
    stored = [
        one
        for ledger, _ in chosen
        for model in ledger.models
        for budget in BUDGETS
        for one in results(ledger, model, budget, docs).values()
    ]
    failed = sum('failed' in one for one in stored)
    stale = sum('failed' not in one and bool(one['changed']) for one in stored)
    print(f'stored runs: {len(stored) - failed - stale} done, {stale} stale, {failed} failed; {docs}')
    print(f'{sum(len(claims) for _, claims in chosen)} claims')


def running(chosen: Chosen, work: Path) -> Iterator[Run]:
    """Yield the runs that a process executes at present."""
    for ledger, _ in chosen:
        for folder in sorted(work.glob(f'{ledger.method}/*/*')):
            match = re.fullmatch(r'(.+)_s(\d+)_[0-9a-f]{8}', folder.name)
            budget = folder.parent.name
            if match is None or match[1] not in ledger.models or budget not in BUDGETS:
                continue
            spec = ledger.spec(match[1], budget)
            run = Run(ledger.method, match[1], budget, int(match[2]), spec) if spec else None
            if run and is_running(run, work):
                yield run


def start_in_background(command: str, arguments: Sequence[str], work: Path) -> None:
    """Start the same command in a process of its own, which outlives the terminal; its output goes to a file."""
    work.mkdir(parents=True, exist_ok=True)
    log = work / 'output.txt'
    with open(log, 'ab') as out:
        process = subprocess.Popen(
            own_command(command, *arguments),
            env=own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    print(f'process {process.pid}; output in {log}; restorebox reproduce --status shows the progress')
