"""Measure ``restorebox restore --engine ray`` on many small pictures, and kill it.

    python docs/studies/restore_ray.py PICTURES [--count 100000] [--others 5000] [--killed 10000] [--only kills|speed]

PICTURES is a folder of photographs, from which crops are cut. The model has 1,611 weights, so that the time is that of
everything but the network. Needs Linux (/proc) and restorebox[ray].

Kills: 64x48 PNG files are restored by the ordinary engine, and by Ray into another folder: a worker is killed
(SIGKILL), the main process is killed three times, and the same command is started again each time. Outputs are
compared.

Speed: 48x32 PNG files are restored by Ray (two processes), and the first --others of them by the ordinary engine (one
process) and by torchrun (two). Memory is sampled over all processes of a run, as is processor time: the proportional
set size (PSS), in which libraries that other programs use too count in part, and of it the process's own memory, which
is not shared. The overhead is the time per picture and process minus that of bare network calls on the same arrays,
measured before and after each run; curves show processor time, which depends less on other programs.
--minutes ends the run of Ray by SIGINT.

Writes docs/results/restore_ray.json, .md and .png. Pictures and outputs go into a temporary folder, which is removed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import itertools
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from restorebox.cli.common import guarded
from restorebox.engine.measuring import descendants
from restorebox.figures import save_figure
from restorebox.inference import RestoreInferencer
from restorebox.inference.output_log import OUTPUTS
from tests.factories import publish_small
from tests.processes import free_port

RESULTS = Path(__file__).resolve().parents[1] / 'results' / 'restore_ray.json'
REPO = Path(__file__).resolve().parents[2]
EVERY = 2.0  # seconds between samples
BARE = 2000  # pictures of a measurement of bare network calls
PROCESSES = {'ordinary': 1, 'torchrun': 2, 'ray': 2}
TICK = os.sysconf('SC_CLK_TCK')


def cut(photographs: Path, folder: Path, count: int, size: tuple[int, int], rng: np.random.Generator) -> None:
    """Write crops of (width, height) as PNG, a thousand per folder."""
    paths = sorted(path for path in photographs.rglob('*') if path.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    width, height = size
    for start in range(0, count, 1000):
        picture = np.asarray(Image.open(paths[start // 1000 % len(paths)]).convert('RGB'))
        below = folder / f'{start // 1000:04d}'
        below.mkdir(parents=True)
        for i in range(start, min(start + 1000, count)):
            top, left = rng.integers(picture.shape[0] - height), rng.integers(picture.shape[1] - width)
            crop = Image.fromarray(picture[top : top + height, left : left + width])
            crop.save(below / f'{i:07d}.png', compress_level=1)


def command(engine: str, home: Path, sources: list[str], out: str) -> list[str]:
    """Return the command of a run."""
    words = ['restore', *sources, '--out', out, '--report', f'{out}.jsonl', '--device', 'cpu']
    words += ['--model', str(home / 'published.safetensors')]
    words += ['--engine', 'ray', '--workers', '2'] if engine == 'ray' else []
    launch = [sys.executable, '-m']
    if engine == 'torchrun':
        launch += ['torch.distributed.run', '--nproc-per-node=2', f'--master-port={free_port()}', '-m']
    return [*launch, 'restorebox', *words]


def begin(engine: str, home: Path, sources: list[str], out: str) -> subprocess.Popen[bytes]:
    """Start a run; what it prints goes into files."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPO)}
    with open(home / f'{out}.log', 'ab') as log:
        return subprocess.Popen(
            command(engine, home, sources, out), cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=log
        )


def names(process: int) -> dict[int, str]:
    """Return the processes of a run and their names, the first one included."""
    found = {}
    for each in descendants(process):
        with contextlib.suppress(OSError):
            words = Path('/proc', str(each), 'cmdline').read_bytes().decode(errors='replace').split('\0')
            found[each] = words[0] if words[0].startswith('ray::') else ' '.join(words)
    return found


def role(engine: str, pid: int, first: int, name: str) -> str:
    """Return what a process of a run is."""
    if pid == first and engine != 'torchrun':
        return 'main'
    if name.startswith('ray::MapWorker') or (engine == 'torchrun' and pid != first):
        return 'worker'
    return 'other'


class Sampler(threading.Thread):
    """Samples memory and processor time of all processes of a run, and the lines of its report."""

    def __init__(self, engine: str, process: subprocess.Popen[bytes], report: Path, most: float) -> None:
        super().__init__()
        self.most = most  # seconds
        self.engine, self.process, self.report = engine, process, report
        self.samples: list[dict[str, Any]] = []
        self.processor: dict[int, float] = {}
        self.started, self.lines, self.read = time.perf_counter(), 0, 0

    def run(self) -> None:
        """Sample until the run ends."""
        while self.process.poll() is None:
            self.sample()
            if time.perf_counter() - self.started > self.most:
                self.process.send_signal(signal.SIGINT)
                self.process.wait()
            time.sleep(EVERY)

    def sample(self) -> None:
        """Add a sample."""
        if self.report.exists():
            with open(self.report, 'rb') as file:
                file.seek(self.read)
                data = file.read()
            self.read += len(data)
            self.lines += data.count(b'\n')
        sizes: dict[str, list[float]] = {'main': [], 'worker': [], 'other': []}
        own: dict[str, list[float]] = {'main': [], 'worker': [], 'other': []}
        for pid, name in names(self.process.pid).items():
            with contextlib.suppress(OSError):
                fields = Path('/proc', str(pid), 'stat').read_text().rpartition(')')[2].split()
                self.processor[pid] = (int(fields[11]) + int(fields[12])) / TICK
                rollup = Path('/proc', str(pid), 'smaps_rollup').read_text()
                values = {words[0]: int(words[1]) / 1024 for words in map(str.split, rollup.splitlines()[1:])}
                kind = role(self.engine, pid, self.process.pid, name)
                sizes[kind].append(values['Pss:'])
                own[kind].append(values['Pss_Anon:'])
        self.samples.append(
            {
                'seconds': round(time.perf_counter() - self.started, 2),
                'done': self.lines,
                'processor': round(sum(self.processor.values()), 2),
                'main': round(sum(sizes['main']), 1),
                'worker': round(statistics.mean(sizes['worker']), 1) if sizes['worker'] else None,
                'main_own': round(sum(own['main']), 1),
                'worker_own': round(statistics.mean(own['worker']), 1) if own['worker'] else None,
                'other': round(sum(sizes['other']), 1),
                'all': round(sum(map(sum, sizes.values())), 1),
            }
        )


def digest(folder: Path, first: int) -> tuple[int, str]:
    """Return the number of outputs and a hash of names and bytes of the first ones, by name."""
    total = hashlib.sha256()
    paths = sorted(folder.rglob('*.png'), key=lambda path: path.name)
    for path in paths[:first]:
        total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return len(paths), total.hexdigest()


def bare_calls(inferencer: RestoreInferencer, arrays: list[np.ndarray]) -> tuple[float, float]:
    """Return elapsed and processor milliseconds per picture of network calls alone."""
    start, busy = time.perf_counter(), time.process_time()
    for array in arrays:
        inferencer(array)
    factor = 1000 / len(arrays)
    return (time.perf_counter() - start) * factor, (time.process_time() - busy) * factor


def measure_speed(home: Path, photographs: Path, count: int, others: int, minutes: float) -> dict[str, Any]:
    """Restore files with Ray, and the first ones with the other engines."""
    cut(photographs, home / 'many', count, (48, 32), np.random.default_rng(1))
    paths = sorted((home / 'many').rglob('*.png'))[:BARE]
    arrays = [np.asarray(Image.open(path)) for path in paths]
    inferencer = RestoreInferencer(str(home / 'published.safetensors'), device='cpu')
    bare_calls(inferencer, arrays[:50])
    found: dict[str, Any] = {}
    before = bare_calls(inferencer, arrays)
    for engine, processes in PROCESSES.items():
        load = os.getloadavg()[0]
        asked = count if engine == 'ray' else others
        sources = ['many'] if engine == 'ray' else [f'many/{i:04d}' for i in range((asked + 999) // 1000)]
        most = 60 * minutes if engine == 'ray' else float('inf')
        sampler = Sampler(engine, begin(engine, home, sources, engine), home / f'{engine}.jsonl', most)
        sampler.start()
        sampler.join()
        seconds, code = time.perf_counter() - sampler.started, sampler.process.returncode
        after = bare_calls(inferencer, arrays)
        bare = [(a + b) / 2 for a, b in zip(before, after, strict=True)]
        before = after
        outputs, content = digest(home / engine, others)
        shutil.rmtree(home / engine)
        inside = [each for each in sampler.samples if each['done'] >= 0.05 * asked and each['all'] > 0]
        first, last = inside[0], inside[-1]
        done = last['done'] - first['done']
        each = 1000 * (last['seconds'] - first['seconds']) / done
        work = 1000 * (last['processor'] - first['processor']) / done
        found[engine] = {
            'exit_code': code,
            'seconds': round(seconds, 1),
            'startup_seconds': next(s['seconds'] for s in sampler.samples if s['done'] > 0),
            'pictures_per_second': round(1000 / each, 1),
            'ms_per_picture_and_process': round(each * processes, 3),
            'processor_ms_per_picture': round(work, 3),
            'bare_ms': round(bare[0], 3),
            'bare_processor_ms': round(bare[1], 3),
            'overhead_ms': round(each * processes - bare[0], 3),
            'overhead_processor_ms': round(work - bare[1], 3),
            'load_average': [round(load, 1), round(os.getloadavg()[0], 1)],
            'asked': asked,
            'outputs': outputs,
            'content': content,
            'report_lines': len(read_report(home / f'{engine}.jsonl')),
            'samples': sampler.samples[:: max(1, len(sampler.samples) // 80)],
        }
        print(engine, {key: value for key, value in found[engine].items() if key != 'samples'}, flush=True)
    return {'count': count, 'size': '48x32', 'engines': found}


def read_report(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a report."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def outputs_in(folder: Path) -> int:
    """Return the number of outputs."""
    return sum(name.endswith('.png') for _, _, names in os.walk(folder) for name in names)


def wait_for(process: subprocess.Popen[bytes], folder: Path, count: int) -> None:
    """Wait until a run has made so many outputs."""
    while outputs_in(folder) < count:
        if process.poll() is not None:
            raise RuntimeError('the run ended before it could be killed')
        time.sleep(0.1)


def measure_kills(home: Path, photographs: Path, count: int) -> dict[str, Any]:
    """Kill a worker once and the main process three times; compare with a run without kills."""
    cut(photographs, home / 'few', count, (64, 48), np.random.default_rng(0))
    whole = begin('ordinary', home, ['few'], 'whole')  # at the same time, which changes no byte
    endings: list[float] = []
    for i, part in enumerate((0.3, 0.6, 0.85)):
        process = begin('ray', home, ['few'], 'killed')
        if i == 0:
            wait_for(process, home / 'killed', int(0.1 * count))
            worker = next(pid for pid, name in names(process.pid).items() if name.startswith('ray::MapWorker'))
            os.kill(worker, signal.SIGKILL)
        wait_for(process, home / 'killed', int(part * count))
        family = set(descendants(process.pid))
        process.kill()
        start = time.perf_counter()
        process.wait()
        while any(Path('/proc', str(pid)).exists() for pid in family):
            time.sleep(0.05)
        endings.append(round(time.perf_counter() - start, 2))
        print(f'killed with {outputs_in(home / "killed")} outputs', flush=True)
    code = begin('ray', home, ['few'], 'killed').wait()
    if whole.wait() != 0:
        raise RuntimeError((home / 'whole.log').read_text())
    reports = [read_report(home / f'{name}.jsonl') for name in ('whole', 'killed')]
    sources = [Counter(line['source'] for line in report) for report in reports]
    digests = [digest(home / name, count) for name in ('whole', 'killed')]
    others = [path.name for path in (home / 'killed').iterdir() if path.is_file()]
    return {
        'count': count,
        'size': '64x48',
        'exit_code': code,
        'outputs': digests[1][0],
        'same_bytes': digests[0] == digests[1],
        'same_files_in_reports': sources[0] == sources[1],
        'each_file_once': set(sources[1].values()) == {1} and len(sources[1]) == count,
        'status': Counter(line['status'] for line in reports[1]),
        'no_temporary_files': others == [OUTPUTS],
        'lines_about_workers': (home / 'killed.log').read_text().count('note: a worker process ended'),
        'seconds_until_all_processes_ended': endings,
    }


def at_work(sample: dict[str, Any]) -> bool:
    """Return whether a sample is of a run that has not begun to end: its workers are there, if it has any."""
    return sample['worker'] is not None or (sample['main'] > 0 and sample['other'] == 0)


def draw(speed: dict[str, Any], path: Path) -> None:
    """Draw memory and overhead against the number of finished pictures."""
    figure = Figure(figsize=(12, 4.5), layout='constrained')
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    kinds = {'main_own': 'main process', 'worker_own': 'one worker', 'all': 'all processes (PSS)'}
    styles = {'ordinary': '-', 'torchrun': ':', 'ray': '--'}
    colours = {'main_own': 'tab:blue', 'worker_own': 'tab:orange', 'all': 'tab:red'}
    for engine, row in speed['engines'].items():
        samples = [each for each in row['samples'] if each['done'] > 0 and at_work(each)]
        for part, kind in kinds.items():
            label = f'{engine}: {kind}'
            points = [(each['done'], each[part]) for each in samples if each[part]]
            if points:
                left.plot(*zip(*points, strict=True), styles[engine], color=colours[part], label=label)
        steps = samples[:: max(1, len(samples) // 20)]
        middle, overhead = [], []
        for a, b in itertools.pairwise(steps):
            if b['done'] > a['done']:
                each_ms = 1000 * (b['processor'] - a['processor']) / (b['done'] - a['done'])
                middle.append((a['done'] + b['done']) / 2)
                overhead.append(each_ms - row['bare_processor_ms'])
        right.plot(middle, overhead, styles[engine], color='black', label=engine)
    left.set(
        xlabel='finished pictures', ylabel='memory, MiB', ylim=(0, None), title='Own memory of a process; PSS of all'
    )
    right.set(xlabel='finished pictures', ylabel='ms per picture, all processes', ylim=(0, None))
    right.set_title('Processor time minus that of bare network calls')
    left.legend(fontsize=7)
    right.legend()
    save_figure(figure, path)


def table(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = ['<!-- written by docs/studies/restore_ray.py -->', '']
    versions = ', '.join(f'{name} {each}' for name, each in found['versions'].items())
    machine = f'{found["machine"]}, Python {found["python"]}, {versions}'
    if speed := found.get('speed'):
        lines += [
            f'PNG files of {speed["size"]}, a model of 1,611 weights in fp32, one thread per process; {machine}. The '
            'load average states how busy other programs kept the cores.',
            '',
            '| | ' + ' | '.join(f'{name}, {PROCESSES[name]} process(es)' for name in speed['engines']) + ' |',
            '|---|' + '---|' * len(speed['engines']),
        ]
        rows = {
            'files': 'asked',
            'files recorded at the end': 'report_lines',
            'whole run, s': 'seconds',
            'until the first file is recorded, s': 'startup_seconds',
            'pictures a second': 'pictures_per_second',
            'elapsed time per picture and process, ms': 'ms_per_picture_and_process',
            'bare network call, ms': 'bare_ms',
            'overhead per picture and process, ms': 'overhead_ms',
            'processor time per picture, all processes, ms': 'processor_ms_per_picture',
            'processor time of a bare network call, ms': 'bare_processor_ms',
            'overhead per picture in processor time, ms': 'overhead_processor_ms',
            'load average before, after': 'load_average',
        }
        engines = speed['engines'].values()
        for label, key in rows.items():
            cells = [each[key] if key != 'load_average' else ', '.join(map(str, each[key])) for each in engines]
            lines.append(f'| {label} | ' + ' | '.join(map(str, cells)) + ' |')
        parts = {
            'main_own': 'own memory of the main process',
            'worker_own': 'own memory of one worker',
            'all': 'PSS of all processes',
        }
        for part, label in parts.items():
            cells = []
            for each in engines:
                points = [p for p in each['samples'] if p[part] and p['done'] >= 0.05 * each['asked'] and at_work(p)]
                shown = [points[0][part], points[-1][part]] if points else []
                cells.append(' to '.join(f'{value:.0f}' for value in shown))
            lines.append(f'| {label} from 5 % of the files to the end, MiB | ' + ' | '.join(cells) + ' |')
        same = len({each['content'] for each in engines}) == 1
        first = min(each['asked'] for each in engines)
        if 'remark' in speed:
            lines += ['', speed['remark']]
        lines += ['', f'The first {first:,} outputs of all engines are {"" if same else "NOT "}the same bytes.', '']
    if kills := found.get('kills'):
        status = ', '.join(f'{count:,} {name}' for name, count in kills['status'].items())
        yes = {True: 'yes', False: 'NO'}
        lines += [
            f'{kills["count"]:,} PNG files of {kills["size"]}; a worker killed once, the main process three times '
            '(SIGKILL), the same command again each time:',
            '',
            '| | |',
            '|---|---|',
            f'| the same bytes as without a kill | {yes[kills["same_bytes"]]}, {kills["outputs"]:,} outputs |',
            f'| the report has each file once | {yes[kills["each_file_once"]]}: {status} |',
            f'| no temporary files left in the output folder | {yes[kills["no_temporary_files"]]} |',
            f'| seconds from a kill until all processes of Ray had ended '
            f'| {", ".join(map(str, kills["seconds_until_all_processes_ended"]))} |',
            '',
        ]
    return '\n'.join(lines)


def store(found: dict[str, Any]) -> None:
    """Add results to those of earlier runs, and write the page."""
    earlier = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(earlier | found, indent=1) + '\n')
    RESULTS.with_suffix('.md').write_text(table(earlier | found))
    print(table(earlier | found), flush=True)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pictures', type=Path)
    parser.add_argument('--count', type=int, default=100_000)
    parser.add_argument('--others', type=int, default=5000)
    parser.add_argument('--minutes', type=float, default=float('inf'))
    parser.add_argument('--killed', type=int, default=10_000)
    parser.add_argument('--only', choices=('kills', 'speed'))
    args = parser.parse_args()
    found = {
        'machine': f'{platform.machine()}, {os.cpu_count()} cores',
        'python': platform.python_version(),
        'versions': {name: version(name) for name in ('ray', 'torch', 'pyarrow')},
    }
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with contextlib.redirect_stdout(io.StringIO()):
            publish_small(home)
        if args.only != 'speed':
            store(found | {'kills': measure_kills(home, args.pictures, args.killed)})
        if args.only != 'kills':
            speed = measure_speed(home, args.pictures, args.count, args.others, args.minutes)
            draw(speed, RESULTS.with_suffix('.png'))
            store(found | {'speed': speed})


if __name__ == '__main__':
    guarded(main)
