"""restore from and to an S3 server on loopback, killed in the middle: bytes, report, requests and time against folders.

python docs/studies/storage.py [--pictures 200] [--model FILE] writes docs/results/storage.json and storage.md. The
server is moto's, in a process of its own, so times are those of a server on the same cores.
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
from collections import Counter
from pathlib import Path

import numpy as np
import s3fs
from PIL import Image

from restorebox.cli.common import guarded
from restorebox.engine.measuring import descendants

REPO = Path(__file__).resolve().parents[2]
SIZE = (96, 128)  # height and width of a picture
KEYS = {'AWS_ACCESS_KEY_ID': 'study', 'AWS_SECRET_ACCESS_KEY': 'not-a-secret', 'AWS_DEFAULT_REGION': 'us-east-1'}
LOG = re.compile(r'"(?:\x1b\[[\d;]*m)*(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP')


class Server:
    """moto's S3 server; ``requests`` counts by method and kind since the last :meth:`reset`."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / 'server.log'
        with open(self.log, 'w') as out:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'moto.server', '-H', '127.0.0.1', '-p', '0'],
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        while not (found := re.search(r'http://127\.0\.0\.1:\d+', self.log.read_text())):
            if self.process.poll() is not None:
                raise SystemExit(f'error: the server ended: {self.log.read_text()[-300:]}')
            time.sleep(0.1)
        self.url = found[0]
        self.start = 0
        os.environ.update(KEYS, AWS_ENDPOINT_URL=self.url)
        self.files = s3fs.S3FileSystem(use_listings_cache=False)

    def reset(self) -> None:
        """Begin to count."""
        self.start = self.log.stat().st_size

    def requests(self) -> Counter[str]:
        """Return the number of requests by method; a listing is called LIST."""
        with open(self.log) as file:
            file.seek(self.start)
            found = LOG.findall(file.read())
        return Counter('LIST' if 'list-type' in path else method for method, path in found)

    def written(self, folder: str) -> int:
        """Return how many pictures have been written into a folder, from the log."""
        return len(re.findall(rf'PUT /{folder}/\S+\.png HTTP', self.log.read_text()))

    def tree(self, folder: str) -> dict[str, bytes]:
        """Return the pictures of a folder: name -> content."""
        paths = [path for path in self.files.find(folder) if path.endswith('.png')]
        return {path.removeprefix(f'{folder}/'): self.files.cat_file(path) for path in paths}


def local_tree(folder: Path) -> dict[str, bytes]:
    """Return the same for a local folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*.png')}


def command(home: Path, model: str, *words: str, ranks: int = 1) -> subprocess.Popen[str]:
    """Start restore in a session of its own."""
    launch = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={ranks}'] if ranks > 1 else []
    return subprocess.Popen(
        [sys.executable, *launch, '-m', 'restorebox', 'restore', *words, '--model', model, '--device', 'cpu'],
        cwd=home,
        env={**os.environ, 'PYTHONPATH': str(REPO)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> float:
    """Wait for a run; returns its seconds."""
    start = time.perf_counter()
    text = process.communicate()[0]
    if process.returncode != 0:
        raise SystemExit(f'error: restore ended with {process.returncode}: {text[-2000:]}')
    return time.perf_counter() - start


def killed_and_continued(server: Server, home: Path, args: argparse.Namespace, ranks: int) -> dict:
    """Kill a run when a third of its outputs are there, continue it, and compare it with the local run."""
    name = f'ranks{ranks}'
    words = ('s3://study/in', '--out', f's3://study/{name}/out', '--report', f's3://study/{name}/report.jsonl')
    process = command(home, args.model, *words, ranks=ranks)
    while server.written(f'study/{name}/out') < args.pictures // 3 and process.poll() is None:
        time.sleep(0.02)
    for pid in descendants(process.pid):  # torchrun gives each rank a session of its own
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    half = server.tree(f'study/{name}/out')
    whole = local_tree(home / 'local')
    server.reset()
    seconds = finished(command(home, args.model, *words, ranks=ranks))
    requests = server.requests()
    there = server.tree(f'study/{name}/out')
    report = [json.loads(line) for line in server.files.cat_file(f'study/{name}/report.jsonl').splitlines()]
    listed = sorted(line['source'] for line in report)
    return {
        'ranks': ranks,
        'killed_in_the_middle': process.returncode == -signal.SIGKILL and 0 < len(half) < args.pictures,
        'outputs_at_kill': len(half),
        'outputs_at_kill_equal_to_local': all(whole[key] == value for key, value in half.items()),
        'outputs_equal_to_local': there == whole,
        'report_has_each_source_once': listed == sorted(f's3://study/in/{name}' for name in local_tree(home / 'in')),
        'report_status': dict(Counter(line['status'] for line in report)),
        'lines_without_model': sum(line['model'] is None for line in report),
        'requests_of_continuation': dict(requests),
        'seconds_of_continuation': round(seconds, 1),
    }


def study(args: argparse.Namespace, home: Path) -> dict:
    """Return the figures."""
    rng = np.random.default_rng(0)
    for i in range(args.pictures):
        path = home / 'in' / str(i % 4) / f'{i:04d}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(path)
    server = Server(home)
    try:
        server.files.mkdir('study')
        server.files.put(str(home / 'in'), 'study/in', recursive=True)
        local = finished(command(home, args.model, 'in', '--out', 'local', '--report', 'local.jsonl'))
        server.reset()
        words = ('s3://study/in', '--out', 's3://study/whole', '--report', 's3://study/whole.jsonl')
        remote = finished(command(home, args.model, *words))
        requests = server.requests()
        equal = server.tree('study/whole') == local_tree(home / 'local')
        server.reset()
        again = finished(command(home, args.model, *words))
        return {
            'pictures': args.pictures,
            'size': SIZE,
            'cores': os.cpu_count(),
            'load_average': [round(each, 1) for each in os.getloadavg()],
            'local_seconds': round(local, 1),
            's3_seconds': round(remote, 1),
            's3_equal_to_local': equal,
            'requests': dict(requests),
            'requests_per_picture': round(sum(requests.values()) / args.pictures, 3),
            'nothing_to_do_seconds': round(again, 1),
            'nothing_to_do_requests': dict(server.requests()),
            'killed': [killed_and_continued(server, home, args, ranks) for ranks in (1, 2)],
        }
    finally:
        server.process.kill()


def page(result: dict) -> str:
    """Return the result as Markdown."""

    def counts(found: dict[str, int]) -> str:
        return ', '.join(f'{number} {name}' for name, number in sorted(found.items()))

    lines = [
        f'{result["pictures"]} PNG files of {result["size"][1]}x{result["size"][0]}, a network of 1611 weights, the'
        f' server on the same {result["cores"]} cores; times are rough, since other work was running (load average'
        f' {result["load_average"][0]}):',
        '',
        '| run | seconds | requests |',
        '|---|---|---|',
        f'| local folders | {result["local_seconds"]} | |',
        f'| S3 to S3, report in S3 | {result["s3_seconds"]} | {counts(result["requests"])} |',
        f'| the same again, nothing to do | {result["nothing_to_do_seconds"]} |'
        f' {counts(result["nothing_to_do_requests"])} |',
    ]
    for each in result['killed']:
        what = f'killed with {each["outputs_at_kill"]} outputs, then continued, {each["ranks"]} process(es)'
        lines.append(f'| {what} | {each["seconds_of_continuation"]} | {counts(each["requests_of_continuation"])} |')
    same = result['s3_equal_to_local'] and all(
        each['outputs_equal_to_local'] and each['outputs_at_kill_equal_to_local'] and each['killed_in_the_middle']
        for each in result['killed']
    )
    whole = all(each['report_has_each_source_once'] for each in result['killed'])
    lines += [
        '',
        f'All outputs are the same bytes as locally, also those there at the kill: {"yes" if same else "NO"}.',
    ]
    lines += [f'Each source has one line in the report: {"yes" if whole else "NO"}.']
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pictures', type=int, default=200)
    parser.add_argument('--model', required=True)
    parser.add_argument('--out', type=Path, default=REPO / 'docs' / 'results')
    args = parser.parse_args()
    args.model = str(Path(args.model).resolve())
    with tempfile.TemporaryDirectory() as home:
        result = study(args, Path(home))
    (args.out / 'storage.json').write_text(json.dumps(result, indent=1) + '\n')
    (args.out / 'storage.md').write_text(page(result))
    print(page(result))


if __name__ == '__main__':
    guarded(main)
