"""Training and testing of configs in subprocesses; complete runs are skipped, interrupted ones are resumed."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restorebox.claims.ledger import ANALYSES, Claim, Ledger, Spec
from restorebox.claims.records import changed, identity
from restorebox.errors import RestoreboxError
from restorebox.files import find_checkpoints, json_bytes, write_whole
from restorebox.processes import end_with_parent, own_command, own_environment

KEPT = (
    'mean',
    'count',
    'config',
    'row',
    'overrides',
    'training',
    'inference',
    'libraries',
    'device',
    'date',
    'per_picture',
)


@dataclass(frozen=True)
class Run:
    """Training and test of a model at a budget with a seed; ``tiny`` is that of its probe, None without one."""

    method: str
    model: str
    budget: str
    seed: int
    spec: Spec
    tiny: Spec | None = None

    @property
    def digest(self) -> str:
        """Hash of config and overrides, by which outdated stored results are recognised."""
        chain: list[Any] = []
        spec: Spec | None = self.spec
        while spec is not None:
            chain.append([spec.config, spec.differences])
            spec = spec.start
        if self.spec.analysis:
            chain.append(self.spec.analysis)
        text = json.dumps(chain, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """METHOD/BUDGET/MODEL_sSEED."""
        return f'{self.method}/{self.budget}/{self.model}_s{self.seed}'

    @property
    def start(self) -> Run | None:
        """The run from whose weights this one starts."""
        spec = self.spec.start
        return None if spec is None else Run(self.method, str(self.spec.after), self.budget, self.seed, spec)

    def folder(self, work: Path) -> Path:
        """Return the work directory, which is unique per config and overrides."""
        return work / f'{self.name}_{self.digest}'

    def stored(self, docs: Path) -> Path:
        """Return the path of the stored result."""
        return docs / 'runs' / f'{self.name}.json'


def plan(chosen: list[tuple[Ledger, list[Claim]]], budget: str, seeds: list[int], baselines: bool = False) -> list[Run]:
    """Return the unique runs that the claims need.

    They are ordered by seed. A claim's baseline comes first, and a model after the one that it starts from.

    Args:
        chosen: ledgers and claims.
        budget: a key of ``BUDGETS``.
        seeds: seeds of all models.
        baselines: plan only the baselines.
    """
    models: list[tuple[Ledger, str]] = []
    for ledger, claims in chosen:
        for claim in claims:
            if all(ledger.spec(model, budget) for model in claim.models()):
                models += [(ledger, model) for model in claim.models()[: 1 if baselines else None]]
    return plan_models(models, budget, seeds)


def plan_models(models: list[tuple[Ledger, str]], budget: str, seeds: list[int]) -> list[Run]:
    """Return the unique runs of models at a budget, ordered by seed; a model comes after the one that it starts from.

    Models without a training at the budget are left out.
    """
    runs: dict[str, Run] = {}

    def add(ledger: Ledger, model: str, seed: int) -> None:
        spec = ledger.spec(model, budget)
        if spec is None:
            return
        if spec.after:
            add(ledger, spec.after, seed)
        # a run at tiny is its own probe; those of the paper have other configs than tiny's
        tiny = ledger.spec(model, 'tiny') if budget in ('small', 'medium') else None
        run = Run(ledger.method, model, budget, seed, spec, tiny)
        runs.setdefault(run.name, run)

    for seed in seeds:
        for ledger, model in models:
            add(ledger, model, seed)
    return list(runs.values())


def read_result(run: Run, docs: Path) -> dict | None:
    """Return a run's stored result, or None if there is none.

    Its entry ``changed`` lists what is not as it was when the run was made: the config (the claim's overrides
    included) or source files; empty for a valid result.
    """
    try:
        result = json.loads(run.stored(docs).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RestoreboxError(f'{run.stored(docs)}: no valid JSON ({error}); delete it to run it again') from error
    result['changed'] = ['config'] if result.get('digest') != run.digest else changed(result, docs)
    return result


def to_do(run: Run, docs: Path) -> bool:
    """Return whether a run has no valid result: none, a failure, or one made with other code or another config."""
    result = read_result(run, docs)
    return result is None or 'failed' in result or bool(result['changed'])


def to_execute(runs: Sequence[Run], docs: Path, work: Path) -> list[Run]:
    """Return the runs without a valid result, and those that have one but whose weights another of them needs.

    Weights are only in the work directory: a stored result is of no use for a run that starts from them.

    Args:
        runs: a model comes after the one that it starts from.
        docs: folder of the stored results.
        work: folder of the work directories.
    """
    names = {run.name for run in runs if to_do(run, docs)}
    for run in reversed(runs):
        if run.name in names and run.start and not _is_complete(run.start.folder(work)):
            names.add(run.start.name)
    return [run for run in runs if run.name in names]


def _is_complete(folder: Path) -> bool:
    """Return whether a work directory has the weights of a complete training; scores are written after it."""
    return (folder / 'scores.json').is_file() and bool(find_checkpoints(folder))


def is_running(run: Run, work: Path) -> bool:
    """Return whether a process holds the lock of a run's work directory."""
    try:
        with open(run.folder(work) / 'lock') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def minutes_known(run: Run, docs: Path) -> float | None:
    """Return the training time in minutes of the same model and budget with any seed, from stored results."""
    for path in sorted((docs / 'runs' / run.method / run.budget).glob(f'{run.model}_s*.json')):
        seed = path.stem.rpartition('_s')[2]
        other = Run(run.method, run.model, run.budget, int(seed), run.spec) if seed.isdigit() else None
        result = read_result(other, docs) if other else None
        if result and 'training' in result:
            return result['training'].get('minutes')
    return None


def run_environment(device: str, one_core: bool = False) -> dict[str, str]:
    """Return the environment of a run: the device by ``CUDA_VISIBLE_DEVICES``, and if required a single thread."""
    visible = {'cpu': '', 'cuda': '0'}.get(device, device.partition(':')[2])
    threads = {'OMP_NUM_THREADS': '1'} if one_core else {}
    return {**os.environ, **threads, **({} if device == 'auto' else {'CUDA_VISIBLE_DEVICES': visible})}


def write_json(path: Path, content: object) -> None:
    """Write a JSON file atomically, see :func:`restorebox.files.replacing`."""
    write_whole(path, json_bytes(content))


def _run_command(arguments: list[str], log: Path, lock: int, environment: Mapping[str, str] | None) -> None:
    with open(log, 'ab') as out:
        code = subprocess.run(
            own_command(*arguments),
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            preexec_fn=end_with_parent,  # on other systems a new start waits for the orphan's lock
            env=own_environment(environment),
            check=False,
        ).returncode
    if code:
        lines = [line for line in log.read_text(errors='replace').splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith('error')] or lines[-1:] or ['no output']
        raise RestoreboxError(f'{arguments[0]} ended with exit code {code}: {errors[-1][:300]}')


def last_checkpoint(folder: Path) -> Path:
    """Return the newest checkpoint of a run.

    Raises:
        RestoreboxError: there is none.
    """
    found = find_checkpoints(folder)
    if not found:
        raise RestoreboxError(f'{folder}: holds no checkpoint')
    return found[-1]


def train_and_test(
    config: str,
    seed: int,
    folder: Path,
    *,
    data_root: str | None = None,
    row: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    analysis: str | None = None,
) -> dict:
    """Train a config and test its last checkpoint; interrupted runs are resumed, complete ones are read.

    Output goes to ``folder/output.txt``. A second caller with the same folder waits for the first.

    Args:
        config: the config.
        seed: seed of the training.
        folder: work directory.
        data_root: see ``--data-root``.
        row: see ``--row``.
        overrides: see ``--cfg-options``.
        environment: environment of the subprocesses; None for the current one.
        analysis: a key of ``ANALYSES``, whose means are added to the scores, for example as ``correlation.after``.

    Returns:
        Content of ``scores.json``.

    Raises:
        RestoreboxError: training or testing failed; the message has its last error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        options = ['--work-dir', str(folder)]
        options += ['--data-root', data_root] if data_root else []
        options += ['--row', row] if row else []
        if overrides:
            options += ['--cfg-options', *(f'{key}={_word(value)}' for key, value in overrides.items())]
        log, scores = folder / 'output.txt', folder / 'scores.json'
        # test again if the scores are not of the whole set, so that the error is reported each time
        if not _is_complete(folder) or json.loads(scores.read_bytes()).get('problems'):
            _run_command(['train', config, '--seed', str(seed), '--resume', *options], log, lock.fileno(), environment)
            trained = str(last_checkpoint(folder))
            _run_command(['test', config, trained, *options], log, lock.fileno(), environment)
        result = json.loads(scores.read_bytes())
        if analysis:
            measured = folder / ANALYSES[analysis]
            if not measured.is_file():
                _run_command(
                    [analysis, config, str(last_checkpoint(folder)), *options], log, lock.fileno(), environment
                )
            for group, values in json.loads(measured.read_bytes())['mean'].items():
                result['mean'] |= {f'{group}.{name}': value for name, value in values.items()}
        return result


def _word(value: object) -> str:
    """Format a value for ``--cfg-options``."""
    if isinstance(value, (list, tuple)):
        return '[' + ','.join(map(_word, value)) + ']'
    return str(value)


def _claim_folder(run: Run, work: Path, made_by: Mapping[str, Any]) -> None:
    """Note in a work directory what makes its run; one begun with other code, config or data is moved aside.

    Resuming it would give a result that is of neither.
    """
    folder = run.folder(work)
    note = folder / 'made_by.json'
    try:
        before = json.loads(note.read_bytes())
    except (FileNotFoundError, ValueError):
        before = {}
    same = all(before.get(key) == made_by[key] for key in ('config_digest', 'sources', 'data'))
    if not same and is_running(run, work):
        raise RestoreboxError(f'{run.name}: another process runs it with other code or data')
    if not same and folder.is_dir():
        number = next(i for i in itertools.count(1) if not folder.with_name(f'{folder.name}_before{i}').exists())
        folder.rename(folder.with_name(f'{folder.name}_before{number}'))
    if not same:
        write_json(note, made_by)


def execute(run: Run, work: Path, docs: Path, *, data_root: str | None, environment: Mapping[str, str]) -> dict:
    """Execute a run, and store its result or the reason of its failure."""
    overrides = dict(run.spec.overrides)
    result: dict[str, Any] = {'digest': run.digest, 'seed': run.seed}
    try:
        if run.start:
            overrides['load_from'] = str(last_checkpoint(run.start.folder(work)))
        root = data_root or run.spec.data
        made_by = identity(
            run.spec.config, run.spec.row, run.spec.overrides, docs, data_root=root, analysis=run.spec.analysis
        )
        _claim_folder(run, work, made_by)
        scores = train_and_test(
            run.spec.config,
            run.seed,
            run.folder(work),
            data_root=root,
            row=run.spec.row,
            overrides=overrides,
            environment=environment,
            analysis=run.spec.analysis,
        )
        result |= {key: scores[key] for key in KEPT if key in scores}
        result |= {**made_by, 'checkpoint_sha256': scores['checkpoint']['sha256']}
        if run.start:  # by name, without the path on this machine
            result['overrides'] = {**result['overrides'], 'load_from': run.start.name}
    except RestoreboxError as error:
        result['failed'] = str(error)
    write_json(run.stored(docs), result)
    return result
