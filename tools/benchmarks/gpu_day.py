#!/usr/bin/env python3
"""Measure everything that only a GPU can show, in the first half hour on one.

    gpu_day.py --minutes 28 --piece-minutes 9 --data-root FOLDER [--cut FOLDER]

A call runs pending parts for at most --piece-minutes and stores each when it is complete; the same command continues
with the next ones until --minutes are used up. Each part runs in a process of its own. One that fails is recorded with
the last line of its error, and the next one runs. A part that is expected not to fit in the time left is put off. The
parts: tests that need a GPU; NCCL on one device; training steps of each method at its paper's size, compared in pairs
with a bare loop, bfloat16, channels_last, torch.compile, and CUT's public code (--cut); `restore` at 0.5, 2 and 24
megapixels; sampling of a diffusion model; training of the included model for the time left (--data-root).

Results are in WORK_DIR/gpu_day.json and, with --table, in WORK_DIR/gpu_day.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from gpu_day_plan import CONTINUED, MARGIN, Part, estimate, groups, parts
from gpu_day_table import tables

from restorebox.cli.common import guarded
from restorebox.errors import ConfigError
from restorebox.files import write_whole

HERE = Path(__file__).resolve().parent
LEAST_TRAINING = 60  # seconds; a shorter session would only start up
MINIATURE_TRAINING = 100  # seconds
STOPPING = 30  # seconds that a training needs to save and stop


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(
        prog='gpu_day.py', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--minutes', type=float, default=28, help='of all calls together (default: %(default)s)')
    parser.add_argument('--piece-minutes', type=float, default=9, help='of this call (default: %(default)s)')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda', help='(default: %(default)s)')
    parser.add_argument('--miniature', action='store_true', help='configs at laptop size, to try the command itself')
    parser.add_argument('--only', nargs='+', default=[], metavar='PART', help=f'{", ".join(groups())}, or GROUP/METHOD')
    parser.add_argument('--pairs', type=int, default=7, help='repeats of a comparison, 6 or more (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of weights and pictures (default: %(default)s)')
    parser.add_argument('--cut', type=Path, metavar='FOLDER', help="checkout of CUT's public code, only run")
    parser.add_argument('--data-root', type=Path, help='folder with {train,test}/gt for the training')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/gpu_day'), help='(default: %(default)s)')
    parser.add_argument('--table', action='store_true', help='only write the tables of what is stored')
    args = parser.parse_args(argv)
    if min(args.minutes, args.piece_minutes) <= 0:
        parser.error('--minutes and --piece-minutes must be positive')
    if args.pairs < 6:
        parser.error(f'--pairs {args.pairs}: an interval needs 6 or more')
    return args


def main(argv: list[str] | None = None) -> None:
    """Run the pending parts of this piece, or write the tables."""
    args = parse(argv)
    if args.table:
        record = read(args)
        if record is None:
            raise ConfigError(f'{store(args)} does not exist yet; run the command without --table first')
    else:
        record = run_piece(args)
    text = tables(record)
    write_whole(store(args).with_suffix('.md'), text.encode())
    print(text)


def store(args: argparse.Namespace) -> Path:
    """Return the path of the results."""
    return args.work_dir / 'gpu_day.json'


def read(args: argparse.Namespace) -> dict | None:
    """Return the stored results, None if there are none.

    Raises:
        ConfigError: the file has another content.
    """
    if not store(args).is_file():
        return None
    try:
        record = json.loads(store(args).read_text())
        assert {'settings', 'machine', 'used_seconds', 'pieces', 'parts'} <= record.keys()
    except (ValueError, AssertionError, AttributeError):
        raise ConfigError(f'{store(args)} holds no results of this command; give another --work-dir') from None
    return record


def run_piece(args: argparse.Namespace) -> dict:
    """Run pending parts until the piece is over.

    Returns:
        The results, also stored after each part.

    Raises:
        ConfigError: an unknown part, a missing folder or device, or results of other settings or of another machine.
    """
    everything = parts(args.cut is not None)
    chosen = select(everything, args.only)
    for option, folder in (('--cut', args.cut), ('--data-root', args.data_root)):
        if folder is not None and not folder.is_dir():
            raise ConfigError(f'{option} {folder}: is no folder')
    began = time.monotonic()
    machine = run_part(args, 'machine', 120)
    if 'error' in machine:
        raise ConfigError(machine['error'])
    settings = {key: getattr(args, key) for key in ('device', 'miniature', 'seed', 'pairs')}
    record = read(args) or {
        'settings': settings,
        'machine': machine['figures'],
        'used_seconds': 0.0,
        'pieces': [],
        'parts': {},
    }
    for name, now in (('settings', settings), ('machine', machine['figures'])):
        other = [key for key in now if record[name].get(key) != now[key]]
        if other:
            key = other[0]
            raise ConfigError(
                f'{store(args)} was measured with {key} {record[name].get(key)!r}, now it is {now[key]!r}; '
                'give another --work-dir'
            )
    record['minutes'] = args.minutes
    before, did = record['used_seconds'], []
    piece_end = began + min(60 * args.piece_minutes, 60 * args.minutes - before)
    for part in chosen:
        done = record['parts'].get(part.name, {})
        if done.get('state') in ('done', 'failed') and not args.only and part.name != CONTINUED:
            continue
        left = piece_end - time.monotonic()
        took = {name: each['seconds'] for name, each in record['parts'].items() if each['state'] == 'done'}
        expected = estimate(part, took, everything)
        result = train(args, left, done) if part.name == CONTINUED else measure(args, part, left, expected, done)
        if result['state'] != 'put off':
            did.append(part.name)
        record['parts'][part.name] = result
        record['used_seconds'] = before + time.monotonic() - began
        save(args, record)
        print(f'{part.name}: {result["state"]}{": " + result["error"] if "error" in result else ""}', flush=True)
    piece = {'date': datetime.now(UTC).isoformat(timespec='seconds'), 'seconds': time.monotonic() - began, 'parts': did}
    record['pieces'].append(piece)
    record['used_seconds'] = before + piece['seconds']
    save(args, record)
    return record


def select(everything: list[Part], only: list[str]) -> list[Part]:
    """Return the parts that ``--only`` names, or all.

    Raises:
        ConfigError: an unknown name.
    """
    for name in only:
        if not any((part.name + '/').startswith(name + '/') for part in everything):
            raise ConfigError(f'--only {name}: is none of {", ".join(part.name for part in everything)}')
    return [part for part in everything if not only or any((part.name + '/').startswith(n + '/') for n in only)]


def measure(args: argparse.Namespace, part: Part, left: float, expected: float, before: dict) -> dict:
    """Run a part if it is expected to fit in ``left`` seconds; return its entry of the results."""
    expected = max(expected, before.get('at_least', 0.0))
    if MARGIN * expected > left:
        kept = {'at_least': before['at_least']} if 'at_least' in before else {}
        return {
            'state': 'put off',
            'error': f'is expected to take {expected:.0f} s, {max(left, 0):.0f} s are left in this piece',
            **kept,
        }
    began = time.monotonic()
    result = run_part(args, part.name, left)
    seconds = time.monotonic() - began
    if result.get('stopped'):
        longer = f'was stopped after {seconds:.0f} s at the end of the piece'
        if left > 0.9 * 60 * args.piece_minutes:
            return {'state': 'failed', 'seconds': seconds, 'error': f'{longer}; it takes longer than a whole piece'}
        return {'state': 'put off', 'error': longer, 'at_least': seconds}
    state = 'failed' if 'error' in result else 'done'
    return {'state': state, 'seconds': seconds, 'expected_seconds': expected, **result}


def train(args: argparse.Namespace, left: float, before: dict) -> dict:
    """Train the included model for the rest of the piece; return the entry of the results with all sessions."""
    if args.miniature and before.get('state') == 'done' and not args.only:
        return before
    sessions = before.get('sessions', [])
    kept = {'sessions': sessions, 'seconds': before.get('seconds', 0.0)} if sessions else {}
    if args.data_root is None and not args.miniature:
        return {'state': 'put off', 'error': 'needs --data-root', **kept}
    seconds = min(left - STOPPING, MINIATURE_TRAINING if args.miniature else left)
    if seconds < LEAST_TRAINING:
        return {'state': 'put off', 'error': f'{max(left, 0):.0f} s are left in this piece', **kept}
    began = time.monotonic()
    result = run_part(args, CONTINUED, left, ['--seconds', str(seconds)])
    took = before.get('seconds', 0.0) + time.monotonic() - began
    if 'error' in result:
        return {'state': 'failed', 'error': result['error'], **kept, 'seconds': took}
    return {'state': 'done', 'sessions': [*sessions, result['figures']], 'seconds': took}


def run_part(args: argparse.Namespace, name: str, limit: float, more: list[str] | None = None) -> dict:
    """Run a part in a process of its own.

    Returns:
        ``figures``; or ``error``, the last line of what it printed; with ``stopped`` if it exceeded ``limit`` seconds.
    """
    log = args.work_dir / 'log' / f'{name.replace("/", "_")}.txt'
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [name, '--pairs', args.pairs, '--seed', args.seed, '--work-dir', args.work_dir, *(more or [])]
    words += ['--miniature'] if args.miniature else []
    words += ['--cut', args.cut] if args.cut else []
    words += ['--data-root', args.data_root] if args.data_root else []
    environment = dict(os.environ)
    if args.device == 'cpu':
        environment['CUDA_VISIBLE_DEVICES'] = ''
    with tempfile.TemporaryDirectory() as folder, log.open('w') as text:
        out = Path(folder, 'figures.json')
        command = [sys.executable, HERE / 'gpu_day_parts.py', *words, '--device', args.device, '--out', out]
        process = subprocess.Popen(
            [*map(str, command)], env=environment, stdout=text, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(limit)
        except BaseException as stop:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
            process.wait()
            if not isinstance(stop, subprocess.TimeoutExpired):
                raise
            return {'error': f'was stopped after {limit:.0f} s', 'stopped': True}
        if process.returncode == 0 and out.is_file():
            return {'figures': json.loads(out.read_text())}
    lines = [line.strip() for line in log.read_text(errors='replace').splitlines() if line.strip()]
    lines = [
        line for line in lines if re.match(r'(\w+\.)*\w*(Error|Exception)\b|error:', line)
    ] or lines  # some span lines
    how = f'signal {-process.returncode}' if process.returncode < 0 else f'exit code {process.returncode}'
    return {'error': lines[-1][:300] if lines and process.returncode > 0 else f'ended with {how}'}


def save(args: argparse.Namespace, record: dict) -> None:
    """Write the results."""
    write_whole(store(args), (json.dumps(record, indent=1) + '\n').encode())


if __name__ == '__main__':
    guarded(main)
