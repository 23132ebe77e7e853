"""What a stranger may do to a file of weights: hostile configs, odd numbers, forged archives, pickles that run code."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

CANARY = 'IT_RAN'
MODULE = 'hostile_module'  # beside the file; importing it writes the canary
DIGITS = '9' * 5000


@dataclass
class Draft:
    """A file of weights that is being made.

    Attributes:
        suffix: ``.pth`` or ``.safetensors``.
        state: the weights.
        cfg: the config inside, or the text that stands in its place.
        facts: further metadata.
        top: what stands beside the weights in a ``.pth``.
        legacy: torch's old form, a bare pickle.
        raw: the whole file, where it is not made of the above.
        expect: 'right', 'refused' or 'either'.
        own_config: whether the config inside is the good one.
    """

    suffix: str
    state: dict
    cfg: dict | str
    facts: dict = field(default_factory=dict)
    top: dict = field(default_factory=dict)
    legacy: bool = False
    raw: bytes | None = None
    expect: str = 'refused'
    own_config: bool = True

    def data(self) -> bytes:
        """The file."""
        if self.raw is not None:
            return self.raw
        text = self.cfg if isinstance(self.cfg, str) else json.dumps(self.cfg)
        if self.suffix == '.safetensors':
            from safetensors.torch import save

            facts = {'format': json.dumps('restorebox 1'), 'cfg_json': json.dumps(text)}
            return save(self.state, {**facts, **{key: json.dumps(value) for key, value in self.facts.items()}})
        buffer = io.BytesIO()
        content = {'state_dict': self.state, 'meta': {'cfg_json': text, **self.facts}, **self.top}
        torch.save(content, buffer, _use_new_zipfile_serialization=not self.legacy)
        return buffer.getvalue()


def key_of(rng: random.Random, draft: Draft) -> str:
    """A weight's name."""
    return rng.choice(sorted(key for key, value in draft.state.items() if value.dim() > 1))


PLACES = (
    (),
    ('generator',),
    ('generator', 'backbone'),
    ('generator', 'head'),
    ('generator', 'head', 'deeper'),
    ('losses', 'l1'),
    ('losses', 'more'),
    ('data_preprocessor',),
    ('data_preprocessor', 'a', 'b'),
    ('init_cfg',),
)


def program(rng: random.Random, draft: Draft) -> str:
    """A config that names a program."""
    code = f'open({CANARY!r}, "w")'
    payload = rng.choice(
        (
            {'type': 'subprocess.Popen', 'args': ['touch', CANARY]},
            {'type': 'subprocess.check_call', 'popenargs': ['touch', CANARY]},
            {'type': 'os.system', 'command': f'touch {CANARY}'},
            {'type': 'posix.system', 'command': f'touch {CANARY}'},
            {'type': 'os.makedirs', 'name': CANARY},
            {'type': 'runpy.run_path', 'path_name': f'{MODULE}.py'},
            {'type': 'runpy.run_module', 'mod_name': MODULE},
            {'type': 'builtins.exec', 'source': code},
            {'type': 'builtins.eval', 'source': code},
            {'type': 'importlib.import_module', 'name': MODULE},
            {'type': f'{MODULE}.anything'},
            {'type': 'UNet', '_scope_': MODULE},
            {'type': 'restorebox.files.write_whole', 'path': CANARY, 'data': 'x'},
            {'type': ['subprocess.Popen'], 'args': ['touch', CANARY]},
            {'type': 'torch.hub.load', 'repo_or_dir': '.', 'model': 'x', 'source': 'local'},
            {'type': 'pathlib.Path.touch', 'self': CANARY},
            {'type': 'mmengine.Config.fromfile', 'filename': f'{MODULE}.py'},
        )
    )
    place = rng.choice(PLACES)
    model = draft.cfg['model']
    if place:
        node = model
        for key in place[:-1]:
            node = node.setdefault(key, {})
        node[place[-1]] = rng.choice((payload, {**node.get(place[-1], {}), **payload}))
    else:
        draft.cfg['model'] = payload
    draft.own_config = False
    return f'config: {payload["type"]} at {".".join(place) or "top"}'


def odd_config(rng: random.Random, draft: Draft) -> str:
    """A config that no network has."""
    draft.own_config = False
    good = json.dumps(draft.cfg)
    choices = (
        '{"model": ' * 2000 + '1' + '}' * 2000,
        '[' * 100_000,
        f'{{"model": {{"type": "SupervisedRestorer", "statistics_window": {DIGITS}}}}}',
        good.replace('null', rng.choice(('NaN', 'Infinity', '1e999', DIGITS, '-1', '"x"', '{}', '0.5'))),
        good.replace('"levels": 2', f'"levels": {rng.choice(("0", "-1", "9", "1e9", DIGITS, "null", "[2]", "true"))}'),
        good.replace(
            '"base_width": 4', f'"base_width": {rng.choice(("0", "-4", "1000000", "4.5", "null", str(2**40)))}'
        ),
        good.replace('"levels": 2', '"levels": 2, "levels": 3'),
        good.replace('L1Loss', rng.choice(('L1Los', '', '\\u001b[31m', 'x' * 10000))),
        rng.choice(('', '{', '[]', '"text"', 'null', '7', '{"model": null}', '{"model": []}', '\ud800', '\0')),
        json.dumps({'model': {'type': 'RestorationPreprocessor'}}),
        json.dumps({'model': {**draft.cfg['model'], 'x' * 100: {str(i): i for i in range(1000)}}}),
    )
    draft.cfg = rng.choice(choices)
    return f'config: {draft.cfg[:40]!r}...'


def odd_weight(rng: random.Random, draft: Draft) -> str:
    """A weight that is no finite plain tensor of numbers."""
    key = key_of(rng, draft)
    weight = draft.state[key]
    plain = {
        'NaN': lambda: weight.index_fill(0, torch.tensor(0), float('nan')),
        'infinite': lambda: weight.index_fill(0, torch.tensor(0), float('-inf')),
        'integers': lambda: weight.to(rng.choice((torch.int64, torch.int8, torch.uint8))),
        'booleans': lambda: weight > 0,
        'complex': lambda: weight.to(torch.complex64),
    }
    odd = {
        'sparse': lambda: weight.to_sparse(),
        'sparse rows': lambda: weight.flatten(1).to_sparse_csr(),
        'quantised': lambda: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
        'meta': lambda: weight.to('meta'),
        'expanded': lambda: weight.new_zeros(1).expand(2**20, 2**20),
        'a text': lambda: 'text',
        'a list': lambda: weight.tolist(),
        'numpy': lambda: weight.numpy(),
        'None': lambda: None,
        'itself': lambda: draft.state,
    }
    name = rng.choice(sorted(plain if draft.suffix == '.safetensors' else {**plain, **odd}))
    draft.state[key] = {**plain, **odd}[name]()
    return f'weight: {name}'


def other_names(rng: random.Random, draft: Draft) -> str:
    """Weights that are missing, left over, or of another shape."""
    key = key_of(rng, draft)
    weight = draft.state.pop(key)
    what = rng.randrange(7)
    if what == 1:
        draft.state[key] = weight.flatten().contiguous()
    elif what == 2:
        draft.state[key] = torch.zeros(0)
    elif what == 3:
        draft.state[key] = weight.new_zeros(1000, 1000)
    elif what == 4:
        draft.state.clear()
    elif what == 5:
        draft.state.update({key: weight, f'{key}\x1b[31m\nred\u202e': weight.clone()})
    elif what == 6:
        draft.state.update({key: weight, 'other.weight': weight.clone()})
        draft.expect = 'right'  # of another role, which restoring does not read
    return f'names: {("missing", "flat", "empty", "large", "none at all", "control characters", "another role")[what]}'


def good(rng: random.Random, draft: Draft) -> str:
    """Nothing wrong, in unusual forms."""
    draft.expect = 'right'
    what = rng.randrange(5)
    if what == 1:
        draft.state = {key: value.double() for key, value in draft.state.items()}
    elif what == 2 and draft.suffix == '.pth':
        draft.legacy = True
    elif what == 3 and draft.suffix == '.pth':
        draft.state = {key: torch.nn.Parameter(value) for key, value in draft.state.items()}
    elif what == 4 and draft.suffix == '.pth':
        draft.top['ema_state_dict'] = {key: value * 0.5 for key, value in draft.state.items()}
    return f'good: {("plain", "double", "legacy", "parameters", "average")[what]}'


def texts(rng: random.Random, draft: Draft) -> str:
    """Metadata with control characters, of other kinds, or absurd."""
    red = 'CC0 \x1b[31mred\x1b]0;title\x07\u202eleft\r\nlimits  everything'
    deep = json.loads('[' * 60 + ']' * 60)
    name = rng.choice(('licence', 'limits', 'average', 'scores', 'compute'))
    if name in ('licence', 'limits', 'average'):
        draft.facts[name] = rng.choice((red, red * 2000, 7, deep, None, {'a': red}, ''))
    elif name == 'scores':
        draft.facts[name] = rng.choice(({'mean': {red: 1.5}}, {'mean': 'x'}, 7, {'mean': {'a': 10**400}}, deep))
    else:
        draft.facts[name] = rng.choice((red, 7, deep, {red: red}, None))
    draft.expect = 'either'
    return f'metadata: {name} {str(draft.facts[name])[:20]!r}'


def spoilt(rng: random.Random, draft: Draft) -> str:
    """Spoilt bytes of a good file."""
    from tests.campaign.faults import BYTE_FAULTS

    fault = rng.choice(tuple(BYTE_FAULTS.values()))
    draft.raw, draft.expect = fault(rng, draft.data()), 'either'
    return f'bytes: {fault.__name__}'


def header(rng: random.Random, draft: Draft) -> str:
    """A safetensors file with a forged head."""
    draft.suffix, draft.expect, draft.own_config = '.safetensors', 'either', False
    data = draft.data()
    size = int.from_bytes(data[:8], 'little')
    head, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    key = rng.choice(sorted(set(head) - {'__metadata__'}))
    what = rng.randrange(9)
    if what == 0:
        head[key]['shape'] = rng.choice(([2**40], [2**31, 2**31], [-1], [0], [1] * 3000, ['4'], []))
    elif what == 1:
        head[key]['data_offsets'] = rng.choice(([0, 2**40], [-8, 8], [8, 0], [0, len(body)], 'x'))
    elif what == 2:
        head[key]['dtype'] = rng.choice(('F99', 'I64', 'BOOL', 'BF16', 'F8_E4M3', 7))
    elif what == 3:
        head['__metadata__'] = rng.choice(({'cfg_json': 7}, [], 'x', {'a': {'b': 1}}))
    text = json.dumps(head).encode()
    if what == 4:
        text = b'[' * 20000 + b']' * 20000
    elif what == 5:
        text = text.replace(b'"shape"', b'"shape": [1], "shape"', 1)
    elif what == 6:
        text = text[:-1] + b', ' + json.dumps(key).encode() + b': ' + json.dumps(head[key]).encode() + b'}'
    length = rng.choice((0, 1, 2**40, 2**63, len(text) + 9)) if what == 7 else len(text)
    if what == 8:
        body = body[: rng.randrange(len(body))]
    draft.raw = struct.pack('<Q', length) + text + body
    names = ('shape', 'offsets', 'dtype', 'metadata', 'nested', 'shape twice', 'key twice', 'length', 'cut')
    return f'head: {names[what]}'


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function: Callable, *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple:
        return self.call


def pickles(rng: random.Random, draft: Draft) -> str:
    """A .pth whose pickle calls something."""
    import os
    import subprocess

    draft.suffix, draft.own_config = '.pth', False
    touch = f'touch {CANARY}'
    what = rng.randrange(8)
    call = (
        Call(os.system, touch),
        Call(subprocess.call, ['touch', CANARY]),
        Call(eval, f'open({CANARY!r}, "w")'),
        Call(exec, f'open({CANARY!r}, "w")'),
        Call(compile, f'open({CANARY!r}, "w")', 'x', 'exec'),
        Call(__import__, MODULE),
        Call(torch.load, f'{CANARY}.pth'),
        Call(open, CANARY, 'w'),
    )[what]
    where = rng.randrange(5)
    if where == 0:
        draft.state['generator.x'] = call
    elif where == 1:
        draft.facts['compute'] = call
    elif where == 2:
        draft.top['optimizer'] = call
    elif where == 3:
        draft.legacy = True
        draft.top['more'] = [call]
    else:
        raw = rng.choice(
            (
                b'cos\nsystem\n(S' + repr(touch).encode() + b'\ntR.',
                b'\x80\x04cbuiltins\ngetattr\n(cos\n__dict__\ntR.',
                b'(S' + repr(touch).encode() + b'\nios\nsystem\n.',
                b'\x80\x02cmmengine.logging\nHistoryBuffer\n)\x81}(S"__class__"\ncos\nsystem\nsb.',
                b'\x80\x02' + b'(' * 100_000 + b't' * 100_000 + b'.',
                b'\x80\x02\x8a\xff' + b'\x7f' * 255 + b'.',
                b'\x80\x02]' + b'2' * 50 + b'.',
                pickle.dumps({'state_dict': call}),
            )
        )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, 'w') as archive:
            archive.writestr('archive/data.pkl', raw)
            archive.writestr('archive/version', '3\n')
            archive.writestr('archive/../../IT_RAN', 'x')
        draft.raw = rng.choice((raw, buffer.getvalue()))
    return f'pickle: {what} at {where}'


def archive(rng: random.Random, draft: Draft) -> str:
    """A .pth whose archive is odd: compressed, doubled, without its numbers."""
    draft.suffix, draft.expect = '.pth', 'refused'
    old = zipfile.ZipFile(io.BytesIO(draft.data()))
    what = rng.randrange(4)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED if what == 0 else zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            data = old.read(name)
            if what == 1 and '/data/' in name:
                continue
            if what == 2 and '/data/' in name:
                data = data[: len(data) // 2]
            new.writestr(name, data)
        if what == 3:
            for number in range(5000):
                new.writestr(f'archive/{number}', b'')
            draft.expect = 'either'
    draft.raw = buffer.getvalue()
    return f'archive: {("compressed", "without numbers", "half the numbers", "5000 members")[what]}'


# how often each; all of them together make a group
FORGERS = {
    program: 10,
    odd_config: 6,
    odd_weight: 8,
    other_names: 4,
    good: 4,
    texts: 4,
    spoilt: 6,
    header: 5,
    pickles: 7,
    archive: 2,
}
