"""What a restorer hands out: one element per picture."""

from __future__ import annotations

from mmengine.structures import BaseDataElement


class RestorationSample(BaseDataElement):
    """One picture's data and where it came from.

    Data fields, each a CHW RGB float32 tensor in [0, 1] at the input's own height and width, present when known:
    ``pred`` (the restored picture), ``lq`` (the degraded input), ``gt`` (its clean partner) and any physics layer that
    was estimated (``streak``, ``transmission``, ``airlight``, ``depth``; ``physics`` is the picture that they give
    before a network refines it). What is known of such a layer is ``true_streak``, and so on.

    Metainfo: ``name`` (unique within its set, used in tables and file names), ``index`` (position in the data set),
    ``paths`` (role -> file).
    """
