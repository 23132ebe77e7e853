"""Compare PyTorch, onnxruntime, its execution provider OpenVINO, and OpenVINO itself on the CPU, in one run.

    python docs/studies/providers_speed.py [--model weather] [--rounds 7]

OpenVINO itself is the package openvino. The execution provider is in onnxruntime-openvino, which replaces onnxruntime:
install both with `pip install --target FOLDER --no-deps onnxruntime-openvino openvino openvino-telemetry` and set
PYTHONPATH=FOLDER. Every engine restores the same picture in each round, in turn, on one thread. Wall time depends on
the load of the machine, CPU time hardly; ratios are medians over the rounds. Prints and writes
docs/results/providers_speed.json. Differences are the largest ones to PyTorch, of values in [0, 1].
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from restorebox.cli.common import guarded
from restorebox.engine.measuring import device_name
from restorebox.errors import ExportError
from restorebox.inference.export_file import export_file
from restorebox.inference.exported import open_session
from restorebox.inference.models import load_model
from restorebox.inference.providers import used_providers

OUT = Path(__file__).resolve().parents[1] / 'results' / 'providers_speed.json'
TIMED = (328, 488)  # 321x481 after padding
SIZES = [TIMED, (512, 512), (640, 640)]  # the last is larger than the window of weather's statistics
Run = Callable[[np.ndarray], np.ndarray]


def engines(model: str, file: Path) -> tuple[dict[str, Run], dict[str, str]]:
    """Return the engines, and what runs the nodes of those of onnxruntime."""
    restorer = load_model(model, None)
    runs: dict[str, Run] = {'PyTorch': lambda x: restorer.restore(torch.from_numpy(x))['pred'].numpy()}
    nodes = {}
    for device in ('cpu', 'openvino'):
        name = f'onnxruntime, --device {device}'
        try:
            session = open_session(file, model, device)
            nodes[name] = used_providers(session, device, model)
        except ExportError as error:
            nodes[name] = str(error)
            continue
        runs[name] = lambda x, session=session: session.run(None, {'picture': x})[0]
    try:
        import openvino
    except ImportError:
        nodes['OpenVINO'] = 'not installed'
        return runs, nodes
    for precision in ('f32', 'bf16'):
        options = {'INFERENCE_NUM_THREADS': 1, 'INFERENCE_PRECISION_HINT': precision}
        compiled = openvino.compile_model(str(file), 'CPU', options)
        runs[f'OpenVINO, {precision}'] = lambda x, compiled=compiled: compiled({'picture': x})[0]
    return runs, nodes


def installed(name: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='weather')
    parser.add_argument('--rounds', type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    pictures = [rng.random((1, 3, *size), dtype=np.float32) for size in SIZES]
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        runs, nodes = engines(args.model, export_file(args.model, None, 'onnx', f'{folder}/model.onnx').path)
        rows: dict[str, dict] = {name: {'difference': {}, 'wall': [], 'cpu': []} for name in runs}
        for x in pictures:
            expected = runs['PyTorch'](x)
            for name, run in runs.items():
                size = f'{x.shape[2]}x{x.shape[3]}'
                rows[name]['difference'][size] = float(np.abs(run(x) - expected).max())
        load = [os.getloadavg()[0]]
        for _ in range(args.rounds):
            for name, run in runs.items():
                start, cpu = time.perf_counter(), time.process_time()
                run(pictures[0])
                rows[name]['wall'].append(time.perf_counter() - start)
                rows[name]['cpu'].append(time.process_time() - cpu)
            load.append(os.getloadavg()[0])
    base = rows['PyTorch']
    table = {
        name: {
            'seconds_wall': statistics.median(row['wall']),
            'seconds_cpu': statistics.median(row['cpu']),
            'speed_up_wall': statistics.median(a / b for a, b in zip(base['wall'], row['wall'], strict=True)),
            'speed_up_cpu': statistics.median(a / b for a, b in zip(base['cpu'], row['cpu'], strict=True)),
            'difference': row['difference'],
        }
        for name, row in rows.items()
    }
    packages = ('torch', 'onnxruntime-openvino', 'openvino')
    result = {
        'model': args.model,
        'picture': f'{TIMED[0]}x{TIMED[1]}',
        'rounds': args.rounds,
        'threads': 1,
        'device': device_name(),
        'load': [min(load), max(load)],
        'cores': os.cpu_count(),
        'providers': nodes,
        'rows': table,
        'onnxruntime': onnxruntime.__version__,  # what is imported, not what is installed as well
        'packages': {name: installed(name) for name in packages},
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
    }
    OUT.write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result, indent=1))


if __name__ == '__main__':
    guarded(main)
