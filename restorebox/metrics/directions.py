"""Direction of all scores: whether lower values are better."""

from __future__ import annotations

from restorebox.metrics import protocols
from restorebox.metrics.no_reference import NO_REFERENCE


def lower_is_better(name: str) -> bool:
    """Return whether lower values of a score are better; ``'input/'``, a set and ``'@...'`` in the name are ignored."""
    return name.rpartition('/')[2] in NO_REFERENCE or protocols.lower_is_better(name)
