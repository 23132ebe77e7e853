"""Restoration of the frames of one clip in order: the network, the temporal filter, and findings in sampled frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from restorebox.inference.findings import KINDS, Findings, find_damage
from restorebox.inference.temporal import Flicker, TemporalFilter

SAMPLES = 32  # maximum number of frames that are kept of the examined ones


class NothingFound(Exception):
    """The model found nothing in a clip, so that its restored version is not needed."""


class ClipFindings:
    """Findings in evenly spaced frames of a clip of unknown length.

    All frames are examined at first. Whenever ``SAMPLES`` findings are kept, every second one is dropped and the
    spacing is doubled, so 17 to 32 frames count in longer clips, and memory does not grow.
    """

    def __init__(self) -> None:
        self._found: list[Findings] = []
        self._spacing, self._frames = 1, 0

    def add(self, degraded: np.ndarray, restored: np.ndarray, strength: float) -> None:
        """Pass a frame on; see :func:`~restorebox.inference.findings.find_damage` for the arguments."""
        if self._frames % self._spacing == 0:
            if len(self._found) == SAMPLES:
                self._found = self._found[::2]
                self._spacing *= 2
            if self._frames % self._spacing == 0:
                self._found.append(find_damage(degraded, restored, strength))
        self._frames += 1

    @property
    def median(self) -> Findings:
        """The median of each strength over the sampled frames; kinds whose median is 0 are left out."""
        if not self._found:
            return Findings(0.0, {})
        medians = {kind: float(np.median([one.strengths.get(kind, 0.0) for one in self._found])) for kind in KINDS}
        change = float(np.median([one.change for one in self._found]))
        return Findings(change, {kind: value for kind, value in medians.items() if value > 0})

    @property
    def sampled(self) -> int:
        """Number of sampled frames."""
        return len(self._found)

    @property
    def damaged(self) -> int:
        """Number of sampled frames in which something was found."""
        return sum(bool(one.strengths) for one in self._found)


class FrameRestorer:
    """Function of the frames of one clip, which are passed in order.

    Args:
        network: restores a frame, ``(H, W, 3)`` RGB, uint8 or uint16, at ``strength``.
        strength: strength of the restoration, 0 to 2. At 0 neither filter nor findings are used.
        temporal: whether to use :class:`~restorebox.inference.temporal.TemporalFilter`. A frame is filtered only if
            something was found in at least half of the sampled frames up to it: a clip without damage does not flicker,
            and the filter would soften its texture.
        examined: whether to keep what was found.

    Attributes:
        findings: findings in sampled frames, None if they are not examined.
    """

    def __init__(
        self, network: Callable[[np.ndarray], np.ndarray], strength: float, temporal: bool, examined: bool = False
    ) -> None:
        self._network, self._strength = network, strength
        self._filter = TemporalFilter(strength) if temporal and strength > 0 else None
        self._found = ClipFindings() if (temporal or examined) and strength > 0 else None
        self.findings = self._found if examined else None

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Return the restored frame, of the same shape and dtype."""
        restored = self._network(frame)
        if self._found is not None:  # what the model found, without the work of the filter
            self._found.add(frame, restored, self._strength)
        if self._filter is None or self._found is None:
            return restored
        if 2 * self._found.damaged < self._found.sampled:
            self._filter.restart()
            return restored
        return self._filter(frame, restored)

    @property
    def flicker(self) -> Flicker | None:
        """Flicker before and after the temporal filter, None without it."""
        return None if self._filter is None else self._filter.flicker

    def check_damage(self) -> None:
        """Check that something was found in a sampled frame.

        Raises:
            NothingFound: in none of them.
        """
        if self.finds_nothing:
            raise NothingFound

    @property
    def finds_nothing(self) -> bool:
        """Whether frames were examined, and nothing was found in any of them."""
        return self.findings is not None and not self.findings.damaged
