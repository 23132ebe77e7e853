"""Verbs that are killed at an event and started again.

An event is a file that is opened to be written, renamed or removed, a folder that is made, or a pass of a network: no
clock takes part. Oracle: what stands under its own name after the kill is whole; the second run leaves the same files
with the same contents as one that nobody killed, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import shutil
import signal
import struct
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open

from restorebox.inference.output_log import OUTPUTS
from tests.campaign import models, videos
from tests.campaign.cases import Case, fork
from tests.campaign.pictures import RESTORE, files_below
from tests.factories import write_pairs

CHANGES = ('os.rename', 'os.remove', 'os.mkdir', 'os.link', 'os.symlink', 'os.truncate', 'os.rmdir')
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
LOGS = re.compile(r'\d{8}_\d{6}|.*\.log$|.*\.lock$|vis_data$|.*curves\.png$|\.output\.(out|err)$')


def scenarios(shared: Path) -> dict[str, tuple[tuple, tuple, str]]:
    """Name -> words of the first run, further words of the second, the folder that is written into."""
    config, model = shared / 'change.py', ('--model', shared / 'change.safetensors')
    published = ('publish', shared / 'change.pth', 'made/p.safetensors', '--licence', 'CC0', '--limits', 'none')
    return {
        'restore': (('restore', 'in', '--out', 'made', *model, *RESTORE), (), 'made'),
        'synthesize': (
            ('synthesize', 'in', 'made', '--recipe', 'light_rain', '--workers', '1', '--per-picture', '2'),
            (),
            'made',
        ),
        'train': (('train', config, '--work-dir', 'made'), ('--resume',), 'made'),
        'test': (('test', config, shared / 'change.pth', '--work-dir', 'made'), (), 'made'),
        'video': (('restore', 'clip', '--out', 'made', *model, *RESTORE), (), 'made'),
        'publish': (published, (), 'made'),
    }


def prepare(folder: Path) -> None:
    """Inputs; and each scenario once without a kill: its files, their contents, how many events it has."""
    models.write_models(folder)
    for split in ('train', 'test'):
        write_pairs(folder / 'data', split, 3, (20, 24))
    (folder / 'in').mkdir()
    draws = np.random.default_rng(0)
    for i, name in enumerate(('a.png', 'b.jpg', 'c.tif', 'd.webp')):
        Image.fromarray(draws.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)).save(folder / 'in' / name)
    (folder / 'clip').mkdir()
    videos.write_clip(folder / 'clip' / 'c.mkv', videos.FORMS[4], (32, 48), 12)
    from restorebox.cli.main import main

    for name, (words, _, made) in scenarios(folder).items():
        home = folder / f'whole-{name}'
        home.mkdir()
        os.chdir(home)
        lay_out(folder)
        events = Events()
        ran = fork(lambda words=words: main([str(word) for word in words]), home / '.output', events.watch)
        assert ran.code == 0, f'{name}: {ran.err[-1500:]}'
        contents = {str(path): content(path) for path in kept(made)}
        (folder / f'{name}.json').write_text(json.dumps({'events': events.count, 'contents': contents}))
    os.chdir(folder)


def lay_out(shared: Path) -> None:
    """What the scenarios read, in the current folder."""
    for name in ('in', 'data', 'clip'):
        shutil.copytree(shared / name, name)


class Events:
    """Counts events over all processes of a verb, and sends its first one a signal at one of them.

    Args:
        at: number of the event; 0 for none.
        number: the signal.
        halve: whether a file that is about to be renamed loses its second half, as if the kill had come while it was
            written.
    """

    def __init__(self, at: int = 0, number: int = signal.SIGKILL, halve: bool = False) -> None:
        self.at, self.number, self.halve = at, number, halve
        self.memory = mmap.mmap(-1, 8)
        self.folder = os.path.abspath('.')

    @property
    def count(self) -> int:
        """Events so far."""
        return struct.unpack('q', self.memory[:8])[0]

    def watch(self) -> None:
        """Begin, in the process that is to be killed."""
        self.main = os.getpid()
        sys.addaudithook(self.hear)
        torch.nn.modules.module.register_module_forward_pre_hook(self.step)

    def step(self, module: torch.nn.Module, inputs: tuple) -> None:
        """A pass of a network."""
        if type(module).__name__ == 'UNet':
            self.happen('pass', ())

    def hear(self, event: str, args: tuple) -> None:
        """An audit event of Python's."""
        if event == 'open':
            path, mode, flags = args
            if not (
                isinstance(path, (str, bytes)) and (set(mode or '') & set('wax+') or (mode is None and flags & WRITING))
            ):
                return
        elif event not in CHANGES:
            return
        else:
            path = args[0]
        if isinstance(path, (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsdecode(path))
            if path.startswith(self.folder + os.sep) and '/.output' not in path:
                self.happen(event, args)

    def happen(self, event: str, args: tuple) -> None:
        """Count, and kill where it is time."""
        count = self.count + 1
        self.memory[:8] = struct.pack('q', count)
        if count != self.at:
            return
        dying = os.getpid() == self.main and self.number != signal.SIGINT
        if event == 'os.rename' and self.halve and dying and os.path.isfile(args[0]):
            os.truncate(args[0], os.path.getsize(args[0]) // 2)
        os.kill(self.main, self.number)


def kept(folder: str) -> list[Path]:
    """Files of a run that another run makes again; logs, which carry the time, are not among them."""
    return [path for path in files_below(folder) if not any(LOGS.match(part) for part in path.parts)]


def content(path: Path) -> str:
    """A digest of what two runs must have in common; raises where a file is not whole."""
    digest = hashlib.sha256()
    if path.suffix == '.pth':
        digest_of(torch.load(path, weights_only=False), digest)
    elif path.name == 'scores.json':
        told = json.loads(path.read_text())
        digest.update(json.dumps([told['mean'], told['per_picture']]).encode())
    elif path.suffix in ('.mkv', '.mp4'):
        for frame in videos.frames(path) or ():
            digest.update(frame.tobytes())
    elif path.suffix == '.safetensors':  # whose library writes metadata in any order
        with safe_open(path, 'pt') as file:
            digest_of({key: file.get_tensor(key) for key in file.keys()}, digest)  # noqa: SIM118 (no mapping)
            digest_of(file.metadata(), digest)
    elif path.suffix == '.py':  # of a training, and says whether it was resumed
        compile(path.read_text(), path, 'exec')
    elif path.suffix == '.jsonl':
        for line in path.read_text().splitlines():
            digest.update(json.dumps(json.loads(line)).encode())
    else:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def digest_of(value: object, digest: object, name: str = '') -> None:
    """Everything of a checkpoint but times and logs."""
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            if key not in ('meta', 'message_hub', 'seconds'):
                digest_of(value[key], digest, f'{name}.{key}')
    elif isinstance(value, (list, tuple)):
        for i, each in enumerate(value):
            digest_of(each, digest, f'{name}.{i}')
    elif isinstance(value, torch.Tensor):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    elif isinstance(value, np.ndarray):
        digest.update(name.encode() + value.tobytes())
    elif isinstance(value, (int, float, str, bytes, bool, type(None))):
        digest.update(f'{name}={value!r}'.encode())


def play(case: Case) -> str:
    """A case: a verb, a signal, an event at which it comes; then the verb again."""
    rng = case.rng
    every = scenarios(case.shared)
    name = tuple(every)[case.result.seed % len(every)]
    words, more, made = every[name]
    whole = json.loads((case.shared / f'{name}.json').read_text())
    number = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
    at, halve = rng.randint(1, whole['events']), rng.random() < 0.5
    case.result.what = f'{name}: {number.name} at event {at} of {whole["events"]}{", written by half" if halve else ""}'
    lay_out(case.shared)
    first = case.verb(*words, before=Events(at, number, halve).watch, judged=False, tidy=False)
    interrupted(case, first.code, number, first.err)
    compare(case, made, whole['contents'], between=True)
    second = case.verb(*words, *more)
    if second.code:
        case.violation('lost', f'the second run ended with {second.code}: {second.err[-400:]}')
    compare(case, made, whole['contents'], between=False)
    return 'right'


def interrupted(case: Case, code: int, number: int, err: str) -> None:
    """Whether the first run ended as its signal says."""
    if code not in (0, -number, 128 + number):  # it may have been done already
        case.violation('lines', f'ended with {code}: {err[-400:]}')
    if 'Traceback' in err:
        case.violation('traceback', err[-500:])


def compare(case: Case, folder: str, whole: dict[str, str], between: bool) -> None:
    """Files against those of a run that nobody killed.

    Args:
        case: notes violations.
        folder: that was written into.
        whole: path -> digest.
        between: before the second run: there may be fewer, and temporary ones.
    """
    when = 'after the kill' if between else 'after the second run'
    found = {str(path): path for path in kept(folder)}
    for name, path in found.items():
        if name not in whole:
            if not between and not re.match(r'iter_\d+\.pth|journal\.jsonl', path.name):
                case.violation('leftover', f'{name} {when}')
            continue
        try:
            same = content(path) == whole[name]
        except Exception as error:  # not whole
            case.violation('silent', f'{name} is not whole {when}: {error}')
            continue
        if not same and not (between and path.name in ('manifest.jsonl', 'recipe.json', 'last_checkpoint', OUTPUTS)):
            case.violation('silent', f'{name} has other contents {when}')
    if not between:
        for name in whole.keys() - found.keys():
            case.violation('lost', f'{name} is not there {when}')
