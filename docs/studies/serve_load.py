"""Load a server of ``restorebox serve`` with 50 requests at once: latency, throughput, memory, and what is lost.

    python docs/studies/serve_load.py [--model weather] [--requests 50] [--rounds 3] [--threads 1]

The pictures are noise of 320x240, all different. The bare network calls restore the same arrays one after another in
this process, without files or HTTP; they are timed before and after each round, so that other load on the machine
affects both. Every answer is decoded and its size is compared. Writes docs/results/serve_load.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import torch
from PIL import Image

from restorebox.cli.common import guarded
from restorebox.engine.measuring import resident_size
from restorebox.inference import RestoreInferencer

OUT = Path(__file__).resolve().parents[1] / 'results' / 'serve_load.json'
WIDTH, HEIGHT = 320, 240
WAIT = 600


def encoded(array: np.ndarray) -> bytes:
    """Return a PNG."""
    file = BytesIO()
    Image.fromarray(array).save(file, 'PNG', compress_level=1)
    return file.getvalue()


def visit_all(address: str, files: list[bytes]) -> tuple[float, list[float], int]:
    """Send all files at once; return total seconds, latency per request, and the number of wrong or lost answers."""
    gate = threading.Barrier(len(files) + 1)

    def visit(data: bytes) -> tuple[float, bool]:
        with httpx.Client(base_url=address, timeout=WAIT) as web:
            gate.wait(WAIT)
            start = time.perf_counter()
            answer = web.post('/v1/restore', content=data)
            took = time.perf_counter() - start
        right = answer.status_code == 200 and Image.open(BytesIO(answer.content)).size == (WIDTH, HEIGHT)
        return took, right

    with ThreadPoolExecutor(len(files)) as pool:
        waiting = [pool.submit(visit, data) for data in files]
        gate.wait(WAIT)
        start = time.perf_counter()
        answers = [each.result() for each in waiting]
        total = time.perf_counter() - start
    return total, [took for took, _ in answers], sum(not right for _, right in answers)


def table(found: dict) -> str:
    """Return the page."""
    rows = [
        ('requests at once', f'{found["requests"]}'),
        ('lost or wrong answers', f'{found["lost"]} of {found["requests"] * found["rounds"]}'),
        ('throughput of the server', f'{found["per_second"]:.2f} pictures a second'),
        ('throughput of bare network calls', f'{found["bare_per_second"]:.2f} pictures a second'),
        ('time of the server / time of bare calls', f'{found["ratio"]:.2f}'),
        ('latency, median', f'{found["p50"]:.2f} s'),
        ('latency, 95th percentile', f'{found["p95"]:.2f} s'),
        ('one request alone', f'{found["alone"]:.2f} s'),
        ('highest memory after one request', f'{found["memory_one"]:.0f} MiB'),
        ('highest memory after all', f'{found["memory_all"]:.0f} MiB'),
    ]
    head = (
        '<!-- written by docs/studies/serve_load.py -->\n\n'
        f'`restorebox serve --model {found["model"]}`, pictures of {WIDTH}x{HEIGHT}, {found["threads"]} thread(s), '
        f'{found["rounds"]} rounds, medians over rounds; {found["machine"]}, load average {found["load_average"]}.\n\n'
    )
    return head + '| | |\n|---|---|\n' + ''.join(f'| {name} | {value} |\n' for name, value in rows)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='weather')
    parser.add_argument('--requests', type=int, default=50)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(args.requests)]
    files = [encoded(each) for each in arrays]
    inferencer = RestoreInferencer(args.model, device='cpu')
    inferencer(arrays[0])

    def bare() -> float:
        start = time.perf_counter()
        for each in arrays:
            inferencer(each)
        return time.perf_counter() - start

    command = [sys.executable, '-m', 'restorebox', 'serve', '--model', args.model, '--port', '0', '--device', 'cpu']
    environment = {**os.environ, 'OMP_NUM_THREADS': str(args.threads)}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert server.stdout is not None
        address = re.search(r'http://[\d.]+:\d+', server.stdout.readline())
        assert address, 'the server did not start'
        alone = [visit_all(address[0], files[:1])[0] for _ in range(3)]
        memory_one = resident_size('VmHWM', server.pid) / 2**20
        rounds, before = [], bare()
        for _ in range(args.rounds):
            total, latencies, lost = visit_all(address[0], files)
            after = bare()
            rounds.append((total, (before + after) / 2, latencies, lost))
            before = after
        memory_all = resident_size('VmHWM', server.pid) / 2**20
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    found = {
        'model': args.model,
        'requests': args.requests,
        'rounds': args.rounds,
        'threads': args.threads,
        'machine': f'{platform.machine()}, {os.cpu_count()} cores',
        'load_average': round(os.getloadavg()[0], 2),
        'lost': sum(lost for *_, lost in rounds),
        'per_second': args.requests / statistics.median(total for total, *_ in rounds),
        'bare_per_second': args.requests / statistics.median(each for _, each, *_ in rounds),
        'ratio': statistics.median(total / each for total, each, *_ in rounds),
        'p50': statistics.median(statistics.median(took) for _, _, took, _ in rounds),
        'p95': statistics.median(float(np.percentile(took, 95)) for _, _, took, _ in rounds),
        'alone': statistics.median(alone),
        'memory_one': memory_one,
        'memory_all': memory_all,
    }
    OUT.write_text(json.dumps(found, indent=1) + '\n')
    OUT.with_suffix('.md').write_text(table(found))
    print(table(found))


if __name__ == '__main__':
    guarded(main)
