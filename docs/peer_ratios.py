"""The table of docs/performance.md that compares us with other code, made from stored measurements at each build."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / 'results'
ALBUMENTATIONS, COMPRESSAI = 'Albumentations 2.0.8, RandomRain', 'CompressAI 1.2.8, GDN'
CUT_CODE = "public code of CUT's authors, commit b3ac297"
# why a row misses its goal, by the beginning of its first cell
REASONS = {
    'gain control': 'small inputs, or a convolution that is the same on both sides; see the profile below',
    'line rain': 'another picture: lines of drawn widths, lengths, angles and profiles, against lines of one slant, of '
    'one colour and with one blur; see the profile below',
    'layered heavy rain': 'another picture: layers, transmission and veil, against lines of one slant',
    'folder run': 'the same cores read, convert and write each file',
}


@dataclass(frozen=True)
class Row:
    """A ratio: our time or memory over that of something else, measured in turn.

    Attributes:
        what: what was measured.
        peer: what it is compared with.
        ratio: median; below 1 we are faster.
        interval: of the median (95 %) or, where the study stored none, the range.
        goal: largest ratio that meets the goal.
        source: stored file, in docs/results.
        setting: versions, threads, load.
        memory: (ratio or MiB, largest that meets the goal), if memory has a goal.
        why: reason of a missed goal, where it follows from figures.
    """

    what: str
    peer: str
    ratio: float
    interval: tuple[float, float] | None
    goal: float
    source: str
    setting: str
    memory: tuple[float, float] | None = None
    why: str | None = None


def _read(name: str) -> Any:
    return json.loads((RESULTS / f'{name}.json').read_text())


def _interval(row: dict) -> tuple[float, float] | None:
    low, high = row.get('interval') or row.get('range') or row['ratio_range']
    return low, high


def _setting(record: dict, *more: str) -> str:
    torch = record.get('torch') or record.get('libraries', {}).get('torch')
    load = record.get('load', record.get('load_average'))
    load = [load] if isinstance(load, float) else load
    parts = [f'torch {str(torch).split("+")[0]}'] if torch else []
    parts += [f'{record["threads"]} thread(s)'] if 'threads' in record else []
    parts += [f'load {max(load):.0f}'] if load else ['load not stored']
    return ', '.join([*parts, *more])


def rows() -> Iterator[Row]:
    """Yield all rows, in the order of the table."""
    rate = _read('limits')['flop_per_second']
    for each in _read('peer_step'):
        share = each['flop'] / rate / each['seconds'][1]
        why = f'our {each["flop"] / 1e9:.0f} GFLOP take {100 * share:.0f} % of our time at the measured matrix rate'
        kept = ', recomputed activations' if each['recomputation'] else ''
        what = f'{each["method"]}, step at {each["crop"][0]}, full width{kept}'
        yield Row(what, CUT_CODE, each['ratio'], _interval(each), 1 / 1.3, 'peer_step', _setting(each), why=why)
    gain = _read('gain_control')
    for each in gain['against_compressai']:
        size = 'x'.join(map(str, each['size']))
        what = f'gain control, {size}{", with a 3x3 convolution" if each["with_convolution"] else ""}'
        memory = (each['peak_ratio'], 0.6)
        setting = _setting(gain | {'load_average': None})
        yield Row(what, COMPRESSAI, each['ratio'], _interval(each), 0.8, 'gain_control', setting, memory)
    network = _read('network_speed')
    for name, peer in (('nafnet', "spandrel's module"), ('restormer', 'function from the equations, tests/twins.py')):
        for key in ('forward', 'forward_backward'):
            each = network[name][key]
            what = f'{name}, {key.replace("_", " and ")} at {network[name]["pixels"]}'
            setting = _setting(network | {'load': network[name]['load_average']})
            yield Row(what, peer, each['ratio'], _interval(each), 1.0, 'network_speed', setting)
    windows = _read('degradations_speed')['windows']
    for what, peer, key, goal in (
        ('line rain, 256x256', ALBUMENTATIONS, 'line_rain / random_rain_default (peer, keeping freed memory)', 1.0),
        ('heavy rain, 256x256', 'itself before', 'heavy_rain / heavy_rain (before)', 0.5),
        ('line rain, 256x256', 'itself before', 'line_rain / line_rain (before)', 1.0),
        (
            'layered heavy rain, 256x256',
            ALBUMENTATIONS,
            'heavy_rain / random_rain_heavy (peer, keeping freed memory)',
            1.0,
        ),
    ):
        each = windows['ratios'][key]
        setting = _setting({'threads': 1}, f'{windows["rounds"]} rounds')
        yield Row(what, peer, each['ratio'], _interval(each), goal, 'degradations_speed', setting)
    found = _read('decomposition_speed')
    each = found['ratio']
    interval = (each['smallest'], each['largest'])
    setting = _setting(found)
    peer = 'ten guided filters with cumulative sums'
    yield Row('decomposition of heavy rain', peer, each['median'], interval, 0.35, 'decomposition_speed', setting)
    sampling = _read('shifted_windows')
    scores = ' against '.join(f'{sampling["psnr_y"][mode]:.2f}' for mode in ('shifted', 'overlap'))
    size = 'x'.join(map(str, sampling['size']))
    what = f'diffusion sampling of {size} in shifted windows, psnr_y {scores} dB'
    peer = "WeatherDiffusion's overlapping windows, as implemented here, same weights"
    interval = _interval(sampling)
    yield Row(what, peer, sampling['ratio'], interval, 1 / 3, 'shifted_windows', _setting(sampling))
    restore = _read('restore_speed')
    folder = restore['folder_run'] | {'ratio': restore['folder_run']['processor_ratio']}
    interval = None  # that of processor time is not stored
    peer = 'network calls alone, processor time'
    yield Row('folder run', peer, folder['ratio'], interval, 1.03, 'restore_speed', _setting(restore))
    starts = _read('startup')
    versions = starts['versions']
    each = starts['commands']['restore']
    memory = (each['mib_above_torch'], 250)
    setting = f'torch {versions["torch"]}, load not stored'
    ratio = each['seconds_above_torch'] / 1.5
    yield Row('start of `restore`', '1.5 s above `import torch`', ratio, None, 1.0, 'startup', setting, memory)


def met(row: Row) -> str:
    """Return whether a row meets its goal, or why it does not."""
    if row.ratio <= row.goal + 0.005:  # as printed
        return 'met' if row.memory is None or row.memory[0] <= row.memory[1] else 'time met, memory missed'
    why = row.why or next((why for begin, why in REASONS.items() if row.what.startswith(begin)), None)
    return f'missed: {why}' if why else 'missed'


def ratio_table() -> str:
    """Return the table in Markdown."""
    lines = [
        '| what | against | ours / theirs (interval) | goal | goal met | measured with | figures |',
        '|---' * 7 + '|',
    ]
    for row in rows():
        interval = '' if row.interval is None else f' ({row.interval[0]:.2f} to {row.interval[1]:.2f})'
        ratio = f'{row.ratio:.2f}{interval}' + (f'; memory {row.memory[0]:g}' if row.memory else '')
        goal = f'{row.goal:.2f}' + (f'; memory {row.memory[1]:g}' if row.memory else '')
        cells = [row.what, row.peer, ratio, goal, met(row), row.setting]
        lines.append('| ' + ' | '.join([*cells, f'[file](results/{row.source}.json)']) + ' |')
    return '\n'.join(lines)


def write_ratios(folder: Path = RESULTS.parent / 'generated') -> None:
    """Write the table as a Markdown file; ``folder`` is created if it is missing."""
    folder.mkdir(exist_ok=True)
    (folder / 'ratios.md').write_text(ratio_table() + '\n', encoding='utf-8')
