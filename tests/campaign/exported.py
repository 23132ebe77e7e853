"""Forged and spoilt ONNX files, through ``restore``; played by the group of checkpoints."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

from tests.campaign.cases import Case, fork
from tests.campaign.checkpoint_faults import CANARY, DIGITS, MODULE
from tests.campaign.faults import BYTE_FAULTS

FACTS = {'stride': 1, 'min_size': 1, 'receptive_field': 1, 'value_range': [0, 1], 'pixel_bytes': 24}


def write_identity(path: Path, scale: float = 1.0, facts: object = FACTS) -> None:
    """A file like those of ``export`` whose graph multiplies by a number; nothing where onnx is not installed."""
    try:
        from onnx import TensorProto, helper, save
    except ImportError:
        return
    shape = [1, 3, 'h', 'w']
    graph = helper.make_graph(
        [helper.make_node('Mul', ['picture', 'k'], ['restored'])],
        'g',
        [helper.make_tensor_value_info('picture', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('restored', TensorProto.FLOAT, shape)],
        [helper.make_tensor('k', TensorProto.FLOAT, [1], [scale])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    text = facts if isinstance(facts, str) else json.dumps(facts)
    helper.set_model_props(model, {'restorebox': text})
    save(model, str(path))


def forge(rng: random.Random, file: Path, good: Path) -> tuple[str, str]:
    """Write a file -> what is wrong with it, what is expected."""
    what = rng.randrange(6)
    if what == 0:
        write_identity(file)
        return 'good', 'right'
    if what == 1:
        number = rng.choice((float('nan'), float('inf'), 3e38))
        write_identity(file, number)
        return f'gives {number}', 'either' if number < 1e39 else 'refused'
    if what in (2, 3):
        key = rng.choice(sorted(FACTS))
        program = {'type': 'os.system', 'command': f'touch {CANARY}'}
        odd = rng.choice(
            (0, -1, 'x', None, True, 10**12, 1e30, float('nan'), program, {'_scope_': MODULE}, [[[]]], [1, 0])
        )
        write_identity(file, 1.0, {**FACTS, key: odd})
        return f'{key} is {odd!r}'[:60], 'either'
    if what == 4:
        write_identity(file, 1.0, rng.choice(('', '{', '[' * 100000, '{"stride": ' + DIGITS + '}', 'null', '[]')))
        return 'no facts', 'refused'
    fault = rng.choice(tuple(BYTE_FAULTS.values()))
    file.write_bytes(fault(rng, good.read_bytes()))
    return f'bytes: {fault.__name__}', 'either'


def play(case: Case) -> str:
    """A case: an ONNX file, what is wrong with it; restored with, or refused in one line."""
    file, picture = Path('model.onnx'), Path('data/test/lq/00.png')
    good = case.shared / 'identity.onnx'
    if not good.is_file():
        case.result.what = 'onnx is not installed'
        return 'right'
    what, expect = forge(case.rng, file, good)
    case.result.what = f'restore.onnx: {what}'
    ran = case.verb('restore', picture, '--model', file, '--out', 'out')
    made = Path('out', picture.name)
    if ran.code:
        if expect == 'right' and ran.code > 0:
            case.violation('lost', f'a good file is refused: {ran.err[-300:]}')
        if made.exists():
            case.violation('leftover', f'{made} in spite of: {ran.err[-200:]}')
        return 'refused'
    if expect == 'refused':
        case.violation('silent', 'restored with what can not be right')
        return 'right'
    answer = Path('answer.npy')

    def run() -> None:
        import onnxruntime

        x = np.asarray(Image.open(picture).convert('RGB')).transpose(2, 0, 1)[None].astype(np.float32) / 255
        session = onnxruntime.InferenceSession(file.read_bytes(), providers=['CPUExecutionProvider'])
        np.save(answer, session.run(None, {session.get_inputs()[0].name: x})[0])

    if fork(run, Path('.running')).code:
        case.violation('silent', 'restored with what onnxruntime does not read')
        return 'right'
    wanted = np.rint(np.load(answer)[0].transpose(1, 2, 0).clip(0, 1) * 255)
    if np.abs(np.asarray(Image.open(made)).astype(int) - wanted).max() > 1:
        case.violation('silent', 'restored another picture than the graph makes')
    return 'right'
