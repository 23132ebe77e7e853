"""Exported ONNX files, run by onnxruntime through everything that a restorer goes through."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from restorebox.backbones.base import Needs
from restorebox.errors import ExportError, missing_package
from restorebox.restorers.base import BaseRestorer
from restorebox.untrusted import LARGEST, read_json

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
    data = model if isinstance(model, bytes) else Path(model).read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_cpu_mem_arena = False  # it would keep the memory of the largest tile
    options.log_severity_level = 3  # errors
    # what `export` writes is one file; a stranger's must not read others, so their folder is one that can't be
    options.add_session_config_entry('session.model_external_initializers_file_folder_path', f'{os.devnull}/none')
    try:
        return onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # onnxruntime's exceptions have no common base
        reason = ' '.join(str(error).split())[:200]
        raise ExportError(f"model {name}: onnxruntime can't read it: {reason}") from None


def session_facts(session: onnxruntime.InferenceSession, name: str) -> dict:
    """What :func:`restorebox.inference.exporting.file_facts` put into the file.

    Raises:
        ExportError: nothing, since someone else made the file.
    """
    try:
        facts = read_json(session.get_modelmeta().custom_metadata_map['restorebox'])
        _needs(facts)
    except (KeyError, ValueError, TypeError):
        raise ExportError(
            f'model {name}: does not say what stride and sizes it needs; it must be made by `restorebox export`'
        ) from None
    return facts


def _needs(facts: dict) -> Needs:
    """What a file says that it needs.

    Raises:
        KeyError, TypeError, ValueError: it does not say so, or in numbers that no network has.
    """
    field, low_high = facts['receptive_field'], facts['value_range']
    for name, least, most in (('stride', 1, 4096), ('min_size', 1, 65536), ('pixel_bytes', 1e-3, 1e9)):
        if isinstance(facts[name], bool) or not least <= facts[name] <= most:
            raise ValueError(name)
    if not (field is None or (isinstance(field, int) and 0 < field <= LARGEST)) or list(low_high) != [0, 1]:
        raise ValueError('receptive_field or value_range')
    return Needs(
        stride=int(facts['stride']), min_size=int(facts['min_size']), value_range=(0.0, 1.0), receptive_field=field
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
        self._path = path
        self._session = open_session(path, str(path))
        self.facts = session_facts(self._session, str(path))
        self.needs = _needs(self.facts)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``(N, 3, H, W)`` in [0, 1], sizes multiples of the stride -> ``{'picture': the same shape}``.

        Raises:
            ExportError: the file's graph fails, or gives something else than a picture of that shape.
        """
        try:
            pictures = [self._session.run(None, {'picture': each[None].numpy()})[0] for each in x.contiguous()]
            picture = torch.cat([torch.from_numpy(each) for each in pictures])
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise ExportError(f'model {self._path}: its graph fails: {" ".join(str(error).split())[:200]}') from None
        if picture.shape != x.shape or not picture.is_floating_point():
            raise ExportError(f'model {self._path}: gives {tuple(picture.shape)} for a picture of {tuple(x.shape)}')
        return {'picture': picture}


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
