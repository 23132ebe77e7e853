"""Parts of the GPU day, in their order, and the decision which of them fit in the time that is left."""

from __future__ import annotations

import statistics
from collections.abc import Collection
from dataclasses import dataclass

# method -> config at the paper's size, its row, config of the same method at laptop size for a miniature
METHODS = {
    'cclgan': ('cclgan/cclgan_spa.py', None, 'cclgan/cclgan_demo.py'),
    'infoaccum': ('infoaccum/rain800_pix2pix.py', 'infoaccum', 'infoaccum/infoaccum_demo.py'),
    'fdrnet': ('fdrnet/did_hy_fdrnet.py', None, 'fdrnet/fdrnet_demo.py'),
    'heavy_rain': (
        'heavy_rain/heavy_rain_outdoor_rain_stage2.py',
        None,
        'heavy_rain/heavy_rain_demo_stage2.py',
    ),
    'raindiffusion': ('raindiffusion/raindiffusion_rain800.py', None, 'raindiffusion/raindiffusion_demo.py'),
    'cut': ('cut/cut_spa.py', None, 'cut/cut_demo.py'),
}
VARIANTS = ('loop', 'bf16', 'channels_last', 'compiled')
# options of speed of docs/performance.md, measured on the first method alone
OPTIONS = ('unchecked', 'pinned', 'fused', 'tf32', 'cudnn_benchmark', 'compiled_roles', 'cuda_graphs')
MEGAPIXELS = ('0.5', '2', '24')
CONTINUED = 'training'  # the only part that is continued in each piece until the time is used up
MARGIN = 1.2  # an estimate this much below the time left still fits


@dataclass(frozen=True)
class Part:
    """A part of the day: a measurement in a process of its own.

    Attributes:
        name: ``GROUP`` or ``GROUP/METHOD/VARIANT``.
        guess: seconds that it is expected to take before anything is measured.
    """

    name: str
    guess: float

    @property
    def group(self) -> str:
        """The word that ``--only`` takes."""
        return self.name.split('/')[0]


def parts(with_cut: bool) -> list[Part]:
    """Return all parts, the most important first; ``with_cut``: the folder of CUT's code is given."""
    steps = [
        Part(f'step_times/{method}/{variant}', 120 if variant == 'compiled' else 35)
        for variant in VARIANTS
        for method in METHODS
        if method != 'cut'
    ]
    chosen = [
        Part(f'step_times/{next(iter(METHODS))}/{option}', 90 if option in ('compiled_roles', 'cuda_graphs') else 30)
        for option in OPTIONS
    ]
    peer = [Part('step_times/cut/peer', 40)] if with_cut else []
    return [
        Part('tests', 180),
        Part('nccl', 20),
        *steps[: 3 * (len(METHODS) - 1)],
        *peer,
        *(Part(f'restore/{size}', 30) for size in MEGAPIXELS),
        Part('sampling', 60),
        *chosen,
        *steps[3 * (len(METHODS) - 1) :],  # compilation takes longest and is put off first
        Part(CONTINUED, 120),
    ]


def groups() -> list[str]:
    """Return the words that ``--only`` takes."""
    return list(dict.fromkeys(part.group for part in parts(with_cut=True)))


def estimate(part: Part, took: dict[str, float], known: Collection[Part]) -> float:
    """Return the seconds that a part is expected to take.

    The guess is scaled by the median ratio of measured time to guess: over the finished parts of the same group, or
    over all finished ones if the group has none; 1 before the first.

    Args:
        part: the part.
        took: seconds of the finished parts by name.
        known: all parts.
    """
    finished = [each for each in known if each.name in took]
    alike = [each for each in finished if each.group == part.group] or finished
    return part.guess * statistics.median([took[each.name] / each.guess for each in alike] or [1.0])
