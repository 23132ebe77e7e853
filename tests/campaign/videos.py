"""Spoilt and odd clips through ``restore``.

Oracle: one line that names the clip, or all frames of it, as PyAV decodes them.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from tests.campaign import faults, models
from tests.campaign.cases import Case, fork
from tests.campaign.pictures import RESTORE

# suffix, container, codec, pixel format, sound
FORMS = (
    ('.mp4', 'mp4', 'libx264', 'yuv420p', 'aac'),
    ('.mp4', 'mp4', 'libx264', 'yuv420p10le', None),
    ('.mov', 'mov', 'libx264', 'yuv444p', None),
    ('.m4v', 'mp4', 'mpeg4', 'yuv420p', None),
    ('.mkv', 'matroska', 'libx264', 'yuv420p', 'aac'),
    ('.mkv', 'matroska', 'ffv1', 'yuv420p', None),
    ('.webm', 'webm', 'libvpx', 'yuv420p', None),
    ('.avi', 'avi', 'mpeg4', 'yuv420p', 'mp2'),
    ('.avi', 'avi', 'mjpeg', 'yuvj420p', None),
    ('.mpg', 'mpeg', 'mpeg2video', 'yuv420p', 'mp2'),
    ('.mts', 'mpegts', 'libx264', 'yuv420p', 'aac'),
    ('.flv', 'flv', 'flv', 'yuv420p', None),
    ('.wmv', 'asf', 'wmv2', 'yuv420p', None),
)
SOUND = {'aac': (44100, 'fltp', 1024), 'mp2': (44100, 's16', 1152)}
APART = 14  # mean difference that encoding once more may make


def prepare(folder: Path) -> None:
    """Models."""
    models.write_models(folder)


def write_clip(path: Path, form: tuple, size: tuple[int, int], count: int, seed: int = 0, **options: str) -> None:
    """A clip whose frames are unlike each other: a ramp that becomes brighter with a square that moves."""
    import av

    _, container, codec, pixels, sound = form
    height, width = size
    y, x = np.mgrid[:height, :width]
    with av.open(str(path), 'w', format=container, options=options) as sink:
        video = sink.add_stream(codec, rate=Fraction(25))
        video.width, video.height, video.pix_fmt = width, height, pixels
        video.bit_rate = 2_000_000
        video.gop_size = 5
        audio = sink.add_stream(sound, rate=SOUND[sound][0], layout='stereo') if sound else None
        if audio:
            rate, kind, block = SOUND[sound]
            for first in range(0, rate * count // 25, block):
                silence = np.zeros(
                    (2, block) if kind == 'fltp' else (1, 2 * block), np.float32 if kind == 'fltp' else np.int16
                )
                piece = av.AudioFrame.from_ndarray(silence, format=kind, layout='stereo')
                piece.sample_rate, piece.pts = rate, first
                sink.mux(audio.encode(piece))
            sink.mux(audio.encode(None))
        for i in range(count):
            array = np.stack((x * 2 + seed, y * 3, np.full_like(x, (i * 9) % 200)), -1).clip(0, 255).astype(np.uint8)
            array[i % 8 : i % 8 + 8, 2 * i % 16 : 2 * i % 16 + 8] = 230
            frame = av.VideoFrame.from_ndarray(array, format='rgb24')
            frame.pts = i
            sink.mux(video.encode(frame))
        sink.mux(video.encode(None))


def frames(path: Path) -> list[np.ndarray] | None:
    """All frames as PyAV decodes them; None where it raises. In a process of its own, since bytes are spoilt."""

    def read() -> None:
        import av

        with av.open(str(path)) as source:
            arrays = [frame.to_ndarray(format='rgb24') for frame in source.decode(video=0)]
        np.savez('frames.npz', *arrays)

    Path('frames.npz').unlink(missing_ok=True)
    if fork(read, Path('.reading')).code:
        return None
    with np.load('frames.npz') as stored:
        return [stored[name] for name in stored.files]


def play(case: Case) -> str:
    """A case: a clip, what is wrong with it."""
    rng = case.rng
    form = rng.choice(FORMS)
    size, count = (rng.choice((32, 48, 34)), rng.choice((32, 64, 46))), rng.randint(5, 60)
    options = {}
    if form[1] in ('mp4', 'mov'):
        options = rng.choice(({}, {'movflags': 'faststart'}, {'movflags': 'frag_keyframe+empty_moov'}))
    write_clip(Path('clip'), form, size, count, **options)
    data, suffix, what = Path('clip').read_bytes(), form[0], [f'{form[1]} {form[2]} of {count}', *options.values()]
    whole = frames(Path('clip')) or []
    Path('in').mkdir()
    Image.fromarray(np.full((9, 12, 3), 77, np.uint8)).save('in/a_good.png')
    lot, path, certain = rng.random(), Path('in', f'subject{suffix}'), True
    if lot < 0.15:
        what.append('intact')
        path.write_bytes(data)
    elif lot < 0.22:
        path = path.with_suffix(rng.choice(('.mp4', '.mkv', '.avi', '.mov', '.webm')))
        what.append(f'named {path.suffix}')
        path.write_bytes(data)
    elif lot < 0.32:
        path, odd, certain = faults.place(rng, Path('in'), data, suffix)
        what.append(odd)
    elif lot < 0.4:
        other = Path('other')
        write_clip(other, form, (size[0] + 16, size[1]), count)
        path.write_bytes(data + other.read_bytes())
        what.append('another of another size behind it')
        certain = False
    else:
        for fault in rng.sample(
            [each for name, each in faults.BYTE_FAULTS.items() if name not in ('chunks', 'notes')], 1
        ):
            name, data = faults.described(fault, rng, data)
            what.append(name)
        path.write_bytes(data)
        certain = False
    case.result.what = ', '.join(what)
    spoilt = (
        frames(path)
        if path.is_file() and os.access(path, os.R_OK) and path.resolve().is_relative_to(case.folder)
        else None
    )
    return judge(case, path, whole, spoilt, certain)


def judge(case: Case, path: Path, whole: list[np.ndarray], spoilt: list[np.ndarray] | None, certain: bool) -> str:
    """Whether all frames are there, or the clip is named.

    Args:
        case: notes violations.
        path: the clip.
        whole: its frames before it was spoilt.
        spoilt: those that can be decoded now.
        certain: whether it must be restored, since nothing is wrong with it.
    """
    ran = case.verb('restore', 'in', '--out', 'out', '--model', case.shared / 'nothing.safetensors', *RESTORE)
    if not Path('out/a_good.png').is_file():
        case.violation('lost', f'a good picture beside it was not restored: {ran.err[-300:]}')
    made = [each for each in Path('out').rglob('*') if 'subject' in each.name and each.is_file()]
    named = [line for line in ran.lines if 'subject' in line or line.startswith(('left out', 'not pictures'))]
    failed = [line for line in ran.lines if line.startswith('not restored')]
    if bool(failed) != bool(ran.code) and ran.code >= 0:
        case.violation('lines', f'exit code {ran.code} with {len(failed)} not restored')
    if any(each.name.startswith('.') for each in made) or len(made) > 1:
        case.violation('leftover', f'{made}')
    if not made:
        if not named and ran.code >= 0 and not path.is_dir():
            case.violation('silent', 'neither restored nor named')
        if certain and whole and ran.code >= 0:
            case.violation('lost', f'nothing is wrong with it: {named[:2]}')
        return 'refused'
    restored = frames(made[0]) or []
    if len(restored) < len(whole) and not named:
        case.violation('silent', f'{len(restored)} of {len(whole)} frames, and no word')
    beside = spoilt if spoilt is not None and len(spoilt) == len(restored) else whole
    for i, (new, old) in enumerate(zip(restored, beside, strict=False)):
        if new.shape != old.shape:
            case.violation('silent', f'frame {i} is {new.shape}, not {old.shape}')
            break
        if (apart := np.abs(new.astype(int) - old).mean()) > APART and not named:
            case.violation('silent', f'frame {i} differs by {apart:.1f} in the mean')
            break
    return 'warned' if named else 'right'
