"""Exported ONNX files, run by onnxruntime through everything that a restorer goes through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from restorebox.backbones.base import Needs
from restorebox.errors import ExportError, missing_package
from restorebox.restorers.base import BaseRestorer

if TYPE_CHECKING:
    import onnxruntime


def open_session(model: str | Path | bytes, name: str) -> onnxruntime.InferenceSession:
    """A session on the CPU, with as many threads as PyTorch has.

    Args:
        model: a path, or the file's content.
        name: what messages call it.

    Raises:
        ExportError: no such file, or none that onnxruntime can read.
        MissingPackageError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_package('the backend onnxruntime', 'export', error) from None
    if not isinstance(model, bytes) and not Path(model).is_file():
        raise ExportError(f'model {name}: no such file')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_cpu_mem_arena = False  # it would keep the memory of the largest tile
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=['CPUExecutionProvider']
        )
    except Exception as error:  # onnxruntime's exceptions have no common base
        reason = ' '.join(str(error).split())[:200]
        raise ExportError(f"model {name}: onnxruntime can't read it: {reason}") from None


def session_facts(session: onnxruntime.InferenceSession, name: str) -> dict:
    """What :func:`restorebox.inference.exporting.file_facts` put into the file.

    Raises:
        ExportError: nothing, since someone else made the file.
    """
    try:
        facts = json.loads(session.get_modelmeta().custom_metadata_map['restorebox'])
        _needs(facts)
    except (KeyError, ValueError, TypeError):
        raise ExportError(
            f'model {name}: does not say what stride and sizes it needs; it must be made by `restorebox export`'
        ) from None
    return facts


def _needs(facts: dict) -> Needs:
    return Needs(
        stride=int(facts['stride']),
        min_size=int(facts['min_size']),
        value_range=tuple(facts['value_range']),
        receptive_field=facts['receptive_field'],
    )


class ExportedNetwork(nn.Module):
    """A session in the place of a network, without weights that PyTorch could see.

    Args:
        path: an ONNX file that ``restorebox export`` made.

    Attributes:
        facts: what stands in the file.
        needs: as of a network; its receptive field covers the window over which statistics are taken.

    Raises:
        ExportError, MissingPackageError: see :func:`open_session` and :func:`session_facts`.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self._session = open_session(path, str(path))
        self.facts = session_facts(self._session, str(path))
        self.needs = _needs(self.facts)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``(N, 3, H, W)`` in [0, 1], sizes multiples of the stride -> ``{'picture': the same shape}``."""
        pictures = [self._session.run(None, {'picture': each[None].numpy()})[0] for each in x.contiguous()]
        return {'picture': torch.cat([torch.from_numpy(each) for each in pictures])}


class ExportedRestorer(BaseRestorer):
    """An exported file as a restorer: padding, ranges and cropping are those of every other.

    Args:
        path: see :class:`ExportedNetwork`.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.generator = ExportedNetwork(path)
        self.eval()

    @property
    def pixel_bytes(self) -> float:
        """Memory that a pass takes per pixel, measured in PyTorch when the file was made."""
        return float(self.generator.facts['pixel_bytes'])
