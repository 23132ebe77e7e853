"""Data element of one picture, returned by restorers."""

from __future__ import annotations

from mmengine.structures import BaseDataElement


class RestorationSample(BaseDataElement):
    """Images and metadata of one picture.

    Data fields are CHW RGB float32 tensors in [0, 1] at the input's height and width, present when available:

    - ``pred``: restored picture; ``lq``: degraded input; ``gt``: clean target;
    - ``streak``, ``transmission``, ``airlight``, ``depth``: estimated physics layers;
    - ``physics``: picture computed from these layers, before refinement by a network;
    - ``true_streak`` etc.: ground truth of a layer.

    Metainfo: ``name`` (unique within its set, used in tables and file names), ``index`` (position in the data set),
    ``paths`` (role -> file).
    """
