"""Forged and spoilt files of weights through the verbs that read them.

Oracle: nothing out of a file is run (a canary file, a module beside it); one line, or the work is done with the weights
that safetensors or torch themselves find in the file.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.campaign import exported, models
from tests.campaign.cases import Case, Ran, fork
from tests.campaign.checkpoint_faults import CANARY, FORGERS, MODULE, Draft
from tests.campaign.pictures import RESTORE, files_below
from tests.factories import write_pairs

VERBS = {'info': 4, 'restore': 9, 'publish': 4, 'export': 1, 'test': 3, 'train': 2}


def prepare(folder: Path) -> None:
    """Models, pairs, a picture."""
    models.write_models(folder)
    for split in ('train', 'test'):
        write_pairs(folder / 'data', split, 3, (20, 24))
    exported.write_identity(folder / 'identity.onnx')


def play(case: Case) -> str:
    """A case: a file of weights, what is wrong with it, a verb."""
    rng = case.rng
    Path(f'{MODULE}.py').write_text(f'open({CANARY!r}, "w").close()\n')
    Path('data').symlink_to(case.shared / 'data')
    if rng.random() < 0.1:
        outcome = exported.play(case)
        canary(case)
        return outcome
    content = torch.load(case.shared / 'change.pth', weights_only=True)
    cfg = json.loads(content['meta']['cfg_json'])
    draft = Draft(rng.choice(('.pth', '.safetensors')), content['state_dict'], copy.deepcopy(cfg))
    forger = rng.choices(list(FORGERS), FORGERS.values())[0]
    verb = rng.choices(list(VERBS), VERBS.values())[0]
    what = forger(rng, draft)
    file = Path(f'weights{draft.suffix}')
    file.write_bytes(draft.data())
    case.result.what = f'{verb}{draft.suffix}: {what}'
    outcome = judge(case, verb, file, draft, use(case, verb, file))
    canary(case)
    return outcome


def canary(case: Case) -> None:
    """Whether anything ran."""
    found = [path for path in (*files_below('.'), *Path('.').parent.glob(f'{CANARY}*')) if path.name.startswith(CANARY)]
    if found or Path(CANARY).exists():
        case.violation('ran', f'{case.result.what}: {found}')


def importable() -> None:
    """The module beside the file can be imported."""
    import sys

    sys.path.insert(0, '.')


def use(case: Case, verb: str, file: Path) -> Ran:
    """A verb on a file of weights."""
    config = case.shared / 'change.py'
    words: dict[str, tuple] = {
        'info': ('info', file),
        'restore': ('restore', 'data/test/lq/00.png', '--model', file, '--out', 'out', *RESTORE),
        'publish': ('publish', file, 'made.safetensors', '--licence', 'CC0', '--limits', 'none'),
        'export': ('export', file, '--to', 'torchscript', '--out', 'made.ts'),
        'test': ('test', config, file, '--work-dir', 'work'),
        'train': ('train', config, '--work-dir', 'work', '--no-data-check', '--cfg-options', f'load_from={file}'),
    }
    return case.verb(*words[verb], before=importable)


def judge(case: Case, verb: str, file: Path, draft: Draft, ran: Ran) -> str:
    """Whether a verb's answer is right."""
    expect = draft.expect
    if verb in ('test', 'train') and not draft.own_config and expect == 'refused':
        expect = 'either'  # they take the user's config, and the weights may be good
    if ran.code < 0:
        return 'refused'
    if ran.code:
        if expect == 'right' and not (verb == 'publish' and draft.suffix == '.safetensors'):
            case.violation('lost', f'good weights are refused: {ran.err[-300:]}')
        made = [
            path for path in ('out/00.png', 'made.safetensors', 'made.ts', 'work/scores.json') if Path(path).exists()
        ]
        if made:
            case.violation('leftover', f'{made} in spite of: {ran.err[-200:]}')
        return 'refused'
    if expect == 'refused':
        case.violation('silent', f'{verb} takes what can not be right: {ran.out[-200:]}')
        return 'right'
    if not draft.own_config:
        return 'right'
    state = weights_in(case, file)
    if state is None:
        case.violation('silent', f'{verb} reads what torch or safetensors do not')
    elif verb == 'restore':
        made = np.asarray(Image.open('out/00.png'))
        wanted = restored(case, state)
        if wanted is None or np.abs(made.astype(int) - wanted).max() > 1:
            case.violation('silent', 'restored with other weights than those of the file')
    elif verb == 'publish':
        from safetensors.torch import load_file

        published = load_file('made.safetensors')
        same = {key: value for key, value in state.items() if key.startswith('generator.')}
        if published.keys() != same.keys() or any(not torch.equal(published[key], same[key]) for key in same):
            case.violation('silent', 'published other weights than those of the file')
    elif verb == 'test' and len(json.loads(Path('work/scores.json').read_text())['per_picture']) != 3:
        case.violation('silent', 'not all pictures were scored')
    return 'warned' if ran.lines else 'right'


def weights_in(case: Case, file: Path) -> dict | None:
    """The weights of a file as its own library reads them, the average over the live ones; None where it does not."""

    def read() -> None:
        from safetensors.torch import load_file

        content = load_file(file) if file.suffix == '.safetensors' else torch.load(file, weights_only=True)
        state = content
        if 'state_dict' in content:
            state = {**content['state_dict'], **content.get('ema_state_dict', {})}
        torch.save({key: value.detach().clone() for key, value in state.items()}, 'read.pt')

    ran = fork(read, Path('.reading'))
    return torch.load('read.pt', weights_only=True) if ran.code == 0 else None


def restored(case: Case, state: dict) -> np.ndarray | None:
    """The picture as a network of the good config makes it of these weights; None where they do not fit."""
    from restorebox.registry import RESTORERS

    network = RESTORERS.build(models.model(False))
    try:
        network.load_state_dict(
            {key: value.float() for key, value in state.items() if key.startswith('generator.')}, strict=False
        )
    except RuntimeError:
        return None
    picture = np.asarray(Image.open('data/test/lq/00.png').convert('RGB'))
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        made = network.eval().restore(x)
    return np.rint(made['pred'][0].permute(1, 2, 0).clamp(0, 1).numpy() * 255).astype(int)
