"""Spoilt and odd pictures beside good ones, through ``restore``, ``synthesize`` and ``test``.

Oracle: what Pillow decodes is restored with its frames, size, depth, alpha and, by a model that changes nothing, its
pixels; what it does not decode is named in one line. Good neighbours come out in any case; the exit code says whether
something failed; nothing half-written stays.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from restorebox.inference.output_log import OUTPUTS
from tests.campaign import faults, models, picture_files
from tests.campaign.cases import Case, Ran
from tests.campaign.reference import OUTSIDE, Decoded, decode, difference

RESTORE = ('--device', 'cpu', '--precision', 'fp32')
GOOD = ('a_good.png', 'z_good.tif')


def prepare(folder: Path) -> None:
    """Models."""
    models.write_models(folder)


def play(case: Case) -> str:
    """A case: a file, what is wrong with it, a verb."""
    rng = case.rng
    kind, form, original_data = picture_files.draw(rng, case.draws)
    data = original_data
    original = decode(data, picture_files.SUFFIXES[kind])
    suffix, what = picture_files.SUFFIXES[kind], [f'{kind} {form}']
    lot = rng.random()
    if 0.15 < lot < 0.75:
        for fault in rng.sample(list(faults.BYTE_FAULTS.values()), rng.choice((1, 1, 1, 2))):
            name, data = faults.described(fault, rng, data)
            what.append(name)
    elif 0.75 <= lot < 0.85:
        suffix = faults.wrong_suffix(rng, suffix)
        what.append(f'named {suffix or "without suffix"}')
    spoilt = data != original_data
    verb = rng.choices((restore, synthesize, test), (14, 3, 3))[0]
    source = Path('data/test/lq' if verb is test else 'in')
    source.mkdir(parents=True)
    for i, name in enumerate(GOOD):
        Image.fromarray(neighbour(i)).save(source / name)
    readable = True
    if lot >= 0.85:
        path, odd, readable = faults.place(rng, source, data, suffix)
        what.append(odd)
    else:
        path = source / f'subject{suffix}'
        path.write_bytes(data)
    case.result.what = f'{verb.__name__}: {", ".join(what)}'
    expected = decode(data, path.suffix) if readable else Decoded(reason='no regular file that can be read')
    if spoilt and expected.frames is not None and any(frame.deep for frame in expected.frames):
        expected.doubtful = True
    return verb(case, path, expected, original if readable else expected)


def neighbour(i: int) -> np.ndarray:
    y, x = np.mgrid[:20, :30]
    return np.stack((x * 8 + i, y * 12, (x + y) * 4 + 9 * i), -1).astype(np.uint8)


def restore(case: Case, path: Path, expected: Decoded, original: Decoded) -> str:
    """A folder through a model that changes nothing."""
    ran = case.verb('restore', 'in', '--out', 'out', '--model', case.shared / 'nothing.safetensors', *RESTORE)
    made = files_below('out')
    for i, name in enumerate(GOOD):
        good = Path('out', name)
        if good not in made:
            case.violation('lost', f'{name}, a good neighbour, was not restored: {ran.err[-300:]}')
        elif not np.array_equal(np.asarray(Image.open(good)), neighbour(i)):
            case.violation('silent', f'{name}, a good neighbour, has other pixels')
    failed = [line for line in ran.lines if line.startswith('not restored')]
    if bool(failed) != bool(ran.code) and ran.code >= 0:
        case.violation('lines', f'exit code {ran.code} with {len(failed)} pictures not restored')
    mine = [each for each in made if 'subject' in each.name and not each.name.startswith('.')]
    for each in made:
        if each not in mine and each.name not in (*GOOD, OUTPUTS):
            case.violation('leftover', f'{each}')
    return judge_subject(case, path, expected, original, mine, ran)


def judge_subject(
    case: Case, path: Path, expected: Decoded, original: Decoded, made: list[Path], ran: Ran, deep: bool = True
) -> str:
    """Whether a spoilt picture's result is right, or its name is in a line.

    Args:
        case: notes violations.
        path: the picture.
        expected: what it is.
        original: what it was before it was spoilt.
        made: the files made of it.
        ran: the run.
        deep: compare several frames; else they are to be refused.
    """
    named = [line for line in ran.lines if 'subject' in line]
    left_out = [line for line in ran.lines if line.startswith(('left out', 'not pictures', 'not entered'))]
    said = bool(named or left_out)
    if not made:
        if not said and ran.code >= 0 and not path.is_dir():
            case.violation('silent', 'neither made nor named')
        elif expected.frames is not None and not left_out and ran.code >= 0 and not _outside(expected, deep):
            case.violation('lost', f'Pillow decodes it as {expected.kind} {expected.frames[0].mode}: {named[:2]}')
        return 'refused'
    if len(made) > 1:
        case.violation('leftover', f'{len(made)} files of one picture: {made}')
    now = decode(made[0].read_bytes(), made[0].suffix)
    fault = difference(expected, now) if expected.frames else f"Pillow can't decode it: {expected.reason}"
    if fault is not None and difference(original, now) is not None:
        whole = now.frames is not None and expected.frames is not None and len(now.frames) < len(expected.frames)
        if not (said and whole):
            case.violation('silent', f'made {made[0]}, but {fault}')
    return 'warned' if said else 'right'


def _outside(expected: Decoded, several: bool) -> bool:
    """Whether a file may be refused: 32 bits, several pictures where one is wanted, spoilt unseen by Pillow."""
    odd = any(
        (frame.mode in OUTSIDE and frame.exact is not None and not frame.deep) or frame.mode == 'F'
        for frame in expected.frames
    )
    return odd or expected.doubtful or (not several and len(expected.frames) > 1)


def files_below(folder: str | Path) -> list[Path]:
    """All files of a folder, by name."""
    return sorted(Path(path, name) for path, _, names in os.walk(folder) for name in names)


def synthesize(case: Case, path: Path, expected: Decoded, original: Decoded) -> str:
    """A folder of clean pictures into a training set, bad ones skipped."""
    ran = case.verb('synthesize', 'in', 'out', '--recipe', 'jpeg', '--workers', '1', '--bad-picture', 'skip')
    made = files_below('out/train')
    if ran.code:
        case.violation('lost', f'one bad picture ended the run: {ran.err[-300:]}')
        return 'refused'
    gt = {each.stem: each for each in made if each.parent.name == 'gt'}
    lq = {each.stem: each for each in made if each.parent.name == 'lq'}
    if set(gt) != set(lq):
        case.violation('silent', f'gt has {sorted(gt)}, lq {sorted(lq)}')
    for i, name in enumerate(GOOD):
        if Path(name).stem not in gt:
            case.violation('lost', f'{name}, a good neighbour, is not there: {ran.err[-300:]}')
        elif not np.array_equal(np.asarray(Image.open(gt[Path(name).stem])), neighbour(i)):
            case.violation('silent', f'{name}, a good neighbour, has other pixels')
    manifest = Path('out/train/manifest.jsonl')
    records = [json.loads(line) for line in manifest.read_text().splitlines()] if manifest.is_file() else []
    if len(records) != len(gt):
        case.violation('silent', f'the manifest has {len(records)} lines for {len(gt)} pictures')
    names = {'manifest.jsonl', 'recipe.json', 'pairs.txt', *(each.name for each in (*gt.values(), *lq.values()))}
    for each in made:
        if each.name not in names and not each.name.endswith('.lock'):
            case.violation('leftover', f'{each}')
    mine = [each for stem, each in gt.items() if 'subject' in stem]
    for frame in expected.frames or ():  # a training set has no alpha
        frame.alpha = None
    for frame in original.frames or ():
        frame.alpha = None
    for each in mine:
        small = Image.open(lq[each.stem]).size if each.stem in lq else None
        if small and small != Image.open(each).size:
            case.violation('silent', f'lq is {small}, gt {Image.open(each).size}')
    return judge_subject(case, path, expected, original, mine, ran, deep=False)


def test(case: Case, path: Path, expected: Decoded, original: Decoded) -> str:
    """A test set with a spoilt degraded picture, ``bad_picture='skip'``."""
    gt = Path('data/test/gt')
    gt.mkdir()
    for i, name in enumerate(GOOD):
        Image.fromarray(neighbour(i) // 2).save(gt / name)
    stem = os.fsencode(path.stem if path.suffix else path.name)
    shape = original.frames[0].colours.shape if original.frames else (9, 9, 3)
    Image.fromarray(np.full(shape, 90, np.uint8)).save(gt / os.fsdecode(stem + b'.png'))
    ran = case.verb('test', case.shared / 'nothing.py', case.shared / 'nothing.pth', '--work-dir', 'work')
    scores = Path('work/scores.json')
    if ran.code or not scores.is_file():
        named = any('subject' in line or 'partner' in line for line in ran.lines)
        if not ran.code:
            case.violation('silent', 'exit code 0 without scores')
        elif not named and ran.code >= 0:
            case.violation('lines', f'ended, and did not say where: {ran.err[-300:]}')
        elif scores.is_file() and ran.code >= 0:
            case.violation('leftover', 'scores of a run that ended in an error')
        return 'refused'
    told = json.loads(scores.read_text())
    rows = {row['name']: row for row in told['per_picture']}
    for name in GOOD:
        if Path(name).stem not in rows:
            case.violation('lost', f'{name}, a good neighbour, was not scored')
    for name, row in rows.items():
        if row['psnr_y'] != row['input/psnr_y'] and abs(row['psnr_y'] - row['input/psnr_y']) > 1e-3:
            case.violation('silent', f'{name}: psnr_y {row["psnr_y"]}, and {row["input/psnr_y"]} of doing nothing')
    mean = np.mean([row['psnr_y'] for row in rows.values()])
    if abs(told['mean']['psnr_y'] - mean) > 1e-6:
        case.violation('silent', f'the mean is {told["mean"]["psnr_y"]}, of its rows {mean}')
    scored = any('subject' in name for name in rows)
    text = f'{ran.out}\n{ran.err}'
    if not scored and 'subject' not in text:
        case.violation('silent', 'neither scored nor named')
    if (
        scored
        and (expected.frames is None or expected.frames[0].colours.shape != shape)
        and original.frames != expected.frames
    ):
        case.violation('silent', f"scored, though Pillow can't decode it: {expected.reason}")
    if (
        not scored
        and expected.frames is not None
        and not _outside(expected, False)
        and expected.frames[0].colours.shape == shape
    ):
        case.violation('lost', f'Pillow decodes it as {expected.kind} {expected.frames[0].mode}, but it was not scored')
    return 'right' if scored else 'warned'
