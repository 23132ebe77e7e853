"""Configs with wrong leaves, and files that are none, through ``check-config``; small ones that pass are trained.

Oracle: one line that names the file, or ``ok``; an unchanged config is ok; and what is ok trains, or ``train`` says in
one line what is wrong.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.campaign import models
from tests.campaign.cases import Case
from tests.conftest import REPO
from tests.factories import write_pairs

LARGE = (2**31, 10**9, -(2**63), 10**30, 1e30)
SMALL = (
    *(0, 1, 2, 3, 7, -1, -7, 64, 0.5, -0.5, 1.5, 1e-30, float('nan'), float('inf'), True, False, None, '', 'x', 'two'),
    *('\x1b[31mred', 'a\nb', '../..', (), [], {}, (1, 0), [0, 1], (3, 4, 5), [[1]], ['x'], {'type': 'x'}, {'a': 1}),
    *(
        {1: 2},
        {'type': None},
        {'type': 'L1Loss'},
        {'type': 'UNet'},
        [{'type': 'UNet'}],
        {'_delete_': True},
        b'x',
        {1, 2},
    ),
)
GARBAGE = (
    b'',
    b'\0\0\0',
    b'\xff\xfe_\0b\0',
    b'model = dict(',
    b'model = 1 / 0\n',
    b'model = undefined\n',
    b'model = None\ntrain_dataloader = 3\n',
    b'model = []\n',
    b'model = dict(type=open)\n',
    b'model = lambda: 0\n',
    b'model = []\nmodel.append(model)\n',
    b'model = dict()\nmodel["a"] = model\n',
    b'model = dict(type="SupervisedRestorer", x=' + b'[' * 150 + b']' * 150 + b')\n',
    b'model = ' + b'(' * 5000 + b')' * 5000,
    b'model = 1' + b'0' * 5000,
    b'_base_ = "config.py"\n',
    b'_base_ = "missing.py"\n',
    b'_base_ = 7\n',
    b'_base_ = ["a.py", "a.py"]\n',
    b'_base_ = "../../../../../../etc/passwd"\n',
    b'custom_imports = dict(imports=["no_such_module"])\nmodel = dict(type="UNet")\n',
    b'custom_imports = 7\n',
    b'import no_such_module\n',
    b'from restorebox.registry import RESTORERS\nmodel = dict(type=RESTORERS)\n',
    b'# caf\xe9\nmodel = dict(type="UNet")\n',
    b'def f():\n  return f()\nmodel = f()\n',
    b'{"model": {"type": "UNet"}}',
    b'model: {type: UNet}\n',
    b'raise ValueError("a\\nb\\x1b[31m")\n',
    b'default_scope = 7\nmodel = dict(type="UNet")\n',
)


def prepare(folder: Path) -> None:
    """A small config and its pictures."""
    models.write_config(folder / 'change.py', False)
    for split in ('train', 'test'):
        write_pairs(folder / 'data', split, 3, (20, 24))


def play(case: Case) -> str:
    """A case: a config and what is wrong with it."""
    lot = case.rng.random()
    if lot < 0.2:
        return garbage(case)
    real = sorted((REPO / 'configs').glob('[a-z]*/*.py'))
    small = lot > 0.6
    source = case.shared / 'change.py' if small else case.rng.choice(real)
    what, large = write_mutant(case.rng, source, Path('config.py'))
    case.result.what = f'{source.parent.name}/{source.name}: {"; ".join(what) or "unchanged"}'
    outcome = check(case, 'config.py')
    if outcome == 'refused' and not what:
        case.violation('lost', 'a config that is right is refused')
    if small and outcome != 'refused' and not large:
        outcome = train(case)
    return outcome


def check(case: Case, name: str) -> str:
    """``check-config`` of a file."""
    ran = case.verb('check-config', name)
    if ran.code < 0:
        return 'refused'
    if ran.code == 0:
        if ran.out.split() != ['ok', name]:
            case.violation('lines', f'exit code 0 and {ran.out[-200:]!r}')
        return 'warned' if ran.lines else 'right'
    if not any(name in line for line in ran.lines):
        case.violation('lines', f'the file is not named: {ran.err[-300:]}')
    return 'refused'


def train(case: Case) -> str:
    """A small config that passed is trained."""
    Path('data').symlink_to(case.shared / 'data')
    ran = case.verb('train', 'config.py', '--work-dir', 'work', '--cfg-options', 'train_cfg.max_samples=8')
    if ran.code > 0:
        case.result.what += ' (refused by train)'
    return 'refused' if ran.code else 'right'


def garbage(case: Case) -> str:
    """A file that is no config."""
    rng, name = case.rng, 'config.py'
    what = rng.randrange(len(GARBAGE) + 5)
    if what < len(GARBAGE):
        name = rng.choices(('config.py', 'config.json', 'config.yaml', 'config'), (9, 1, 1, 1))[0]
        Path(name).write_bytes(GARBAGE[what])
        case.result.what = f'{name}: {GARBAGE[what][:50]!r}'
    elif what == len(GARBAGE):
        Path(name).write_bytes(rng.randbytes(500))
        case.result.what = 'random bytes'
    elif what == len(GARBAGE) + 1:
        Path(name).mkdir()
        case.result.what = 'a folder'
    elif what == len(GARBAGE) + 2:
        os.mkfifo(name)
        case.result.what = 'a fifo'
    elif what == len(GARBAGE) + 3:
        Path(name).symlink_to(rng.choice((name, 'nowhere', '/dev/zero')))
        case.result.what = f'a link to {os.readlink(name)}'
    else:
        text = (REPO / 'configs/unet/unet5_paired.py').read_bytes()
        Path(name).write_bytes(text[: rng.randrange(len(text))])
        case.result.what = 'cut'
    return check(case, name)


def write_mutant(rng: random.Random, source: Path, to: Path) -> tuple[list[str], bool]:
    """A config with all its bases merged and some leaves changed.

    Returns:
        What was changed, and whether a number so large is in it that nobody would wait for the training.
    """
    from restorebox.engine.config import TOP_KEYS, load_config

    cfg = {key: value for key, value in load_config(str(source)).to_dict().items() if key in TOP_KEYS}
    what, large = [], False
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2))):
        inside = rng.choice(
            (
                'model',
                'train_dataloader',
                'test_dataloader',
                'optim_wrapper',
                'param_scheduler',
                'train_cfg',
                'default_hooks',
                None,
            )
        )
        places = [path for path in leaves(cfg) if inside is None or path[0] == inside] or list(leaves(cfg))
        path = rng.choice(places)
        node = cfg
        for key in path[:-1]:
            node = node[key]
        name, kind = '.'.join(map(str, path)), rng.randrange(12)
        if kind == 0 and isinstance(node, dict):
            del node[path[-1]]
            what.append(f'{name} is gone')
        elif kind == 1 and isinstance(node, dict):
            node[f'{path[-1]}x'] = node.pop(path[-1])
            what.append(f'{name} is misspelt')
        elif kind == 2 and isinstance(node, dict):
            node['unknown'] = rng.choice(SMALL)
            what.append(f'unknown key beside {name}')
        else:
            value = rng.choice(LARGE if kind == 3 else SMALL)
            large |= kind == 3
            node[path[-1]] = value
            what.append(f'{name}={value!r}')
    text = '\n'.join(f'{key} = {value!r}' for key, value in cfg.items())
    to.write_text(f'nan, inf = float("nan"), float("inf")\n{text}\ndel nan, inf\n')
    return what, large


def leaves(node: object, path: tuple = ()) -> list[tuple]:
    """Paths of all values of nested dicts and lists that can be assigned to, branches too."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = []
    for key, value in items:
        found += [(*path, key), *leaves(value, (*path, key))]
    return found
