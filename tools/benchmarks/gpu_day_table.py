"""Markdown tables of the GPU day."""

from __future__ import annotations

from typing import Any

MARK = '<!-- written by tools/benchmarks/gpu_day.py -->\n'
NAMES = {'loop': 'training loop / bare loop', 'peer': "ours / CUT's code"}


def row(cells: list[Any]) -> str:
    """Return a row of a table."""
    return '| ' + ' | '.join(map(str, cells)) + ' |'


def table(head: list[str], rows: list[list[Any]]) -> str:
    """Return a table."""
    return '\n'.join([row(head), '|---' * len(head) + '|', *map(row, rows)])


def ratio(figures: dict) -> str:
    """Return a ratio with its interval, or with its range where there are too few pairs for one."""
    low, high = figures['interval'] or figures['range']
    kind = '' if figures['interval'] else ', range'
    return f'{figures["ratio"]:.3f} ({low:.3f} to {high:.3f}{kind}; {figures["pairs"]})'


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds with three digits or more."""
    return f'{1000 * seconds:.3g}' if seconds < 1 else f'{1000 * seconds:.0f}'


def mib(values: list[float | None]) -> str:
    """Return two amounts of memory; '' for what was not measured."""
    return ' / '.join('' if value is None else f'{value:.0f}' for value in values)


def tables(record: dict) -> str:
    """Return all tables and what is missing, as Markdown."""
    machine, settings = record['machine'], record['settings']
    done = {name: part['figures'] for name, part in record['parts'].items() if 'figures' in part}
    driver = f', driver {machine["driver"]}' if machine.get('driver') else ''
    versions = ', '.join(f'{name} {version}' for name, version in machine['libraries'].items() if version)
    texts = [
        MARK,
        f'{machine["device"]}{driver}, {machine["cores"]} cores; {versions}; seed {settings["seed"]}; '
        f'{record["used_seconds"] / 60:.1f} of {record["minutes"]:g} minutes in {len(record["pieces"])} pieces.'
        + (' A miniature: its figures say nothing about the methods.' if settings['miniature'] else ''),
    ]
    if 'tests' in done or 'nccl' in done:
        checks = [['tests', f'{done["tests"]["passed"]} passed'] if 'tests' in done else None]
        if 'nccl' in done:
            n = done['nccl']
            speed = f'all_reduce of {n["all_reduce_mib"]:g} MiB {milliseconds(n["all_reduce_seconds"])} ms'
            checks.append([n['backend'], f'{speed}, gradient of DDP differs by {n["gradient_differs_by"]:.1e}'])
        texts.append(table(['check', 'result'], [each for each in checks if each]))
    steps = []
    for name, f in done.items():
        if name.startswith('step_times/'):
            _, method, variant = name.split('/')
            size = f'{f["batch"]} x {f["crop"][0]}x{f["crop"][1]}'
            label = NAMES.get(variant, f'{variant} / eager fp32')
            steps.append([method, size, label, *map(milliseconds, f['seconds']), ratio(f), mib(f['peak_mib'])])
    if steps:
        head = ['method', 'batch, crop', 'second / first', 'first, ms', 'second, ms', 'ratio of time', 'peak MiB']
        texts.append('Training steps; median of the pairs (95 % interval; pairs).\n\n' + table(head, sorted(steps)))
    pictures = []
    for name, f in done.items():
        if name == 'sampling' or name.startswith('restore/'):
            what = 'shipped model' if name != 'sampling' else f'diffusion, {f["steps"]} steps'
            whole = milliseconds(f['file_seconds']) if 'file_seconds' in f else ''
            size = f'{f["size"][1]}x{f["size"][0]}'
            both = ' / '.join(f['compared'])
            row_ = [what, size, both, *map(milliseconds, f['seconds']), ratio(f), whole, mib(f['peak_mib'])]
            pictures.append(row_)
    if pictures:
        head = [
            'model',
            'picture',
            'first / second',
            'first, ms',
            'second, ms',
            'second / first',
            'file, ms',
            'peak MiB',
        ]
        texts.append('Pictures.\n\n' + table(head, pictures))
    sessions = record['parts'].get('training', {}).get('sessions', [])
    if sessions:
        rows = [[i, f'{s["seconds"]:.0f}', f'{s["first_step"]} to {s["last_step"]}'] for i, s in enumerate(sessions, 1)]
        texts.append('Training of the included model.\n\n' + table(['session', 'seconds', 'steps'], rows))
    missing = [[name, part['state'], part['error']] for name, part in record['parts'].items() if 'error' in part]
    if missing:
        texts.append('Not measured.\n\n' + table(['part', 'state', 'reason'], missing))
    return '\n\n'.join(texts) + '\n'
