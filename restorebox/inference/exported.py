"""Restorer that runs an exported ONNX file with onnxruntime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from restorebox.backbones.base import Needs
from restorebox.errors import ExportError, missing_package
from restorebox.inference.providers import RECORD, check_provider, provider_options, used_providers
from restorebox.layers.global_statistics import scene_statistics
from restorebox.restorers.base import BaseRestorer
from restorebox.untrusted import LARGEST, read_json

if TYPE_CHECKING:
    import onnxruntime


def open_session(model: str | Path | bytes, name: str, device: str = 'cpu') -> onnxruntime.InferenceSession:
    """Open a session with PyTorch's number of threads.

    Args:
        model: a path, or the content of the file.
        name: name used in messages.
        device: a key of :data:`~restorebox.inference.providers.PROVIDERS`.

    Raises:
        ConfigError: no such device.
        ExportError: no such file, onnxruntime can't read it, or it lacks the device's provider.
        MissingPackageError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_package('the backend onnxruntime', 'export', error) from None
    check_provider(device, name)
    providers = provider_options(device, torch.get_num_threads())
    if not isinstance(model, bytes) and not Path(model).is_file():
        raise ExportError(f'model {name}: no such file')
    data = model if isinstance(model, bytes) else Path(model).read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_cpu_mem_arena = False  # the arena would keep the memory of the largest tile
    options.log_severity_level = 3  # errors
    # an untrusted model must not read other files, so the folder of external weights is set to an impossible path
    options.add_session_config_entry('session.model_external_initializers_file_folder_path', f'{os.devnull}/none')
    options.add_session_config_entry(RECORD, '1')
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common base
        reason = ' '.join(str(error).split())[:200]
        raise ExportError(f"model {name}: onnxruntime can't read it: {reason}") from None


def session_facts(session: onnxruntime.InferenceSession, name: str) -> dict:
    """Return the metadata that :func:`restorebox.inference.exporting.file_facts` wrote into the file.

    Raises:
        ExportError: it is missing or invalid.
    """
    try:
        facts = read_json(session.get_modelmeta().custom_metadata_map['restorebox'])
        _needs(facts)
    except (KeyError, ValueError, TypeError):
        raise ExportError(
            f'model {name}: does not say what stride and sizes it needs; it must be written by `restorebox export`'
        ) from None
    return facts


def _needs(facts: dict) -> Needs:
    """Return the requirements stored in a file.

    Raises:
        KeyError, TypeError, ValueError: they are missing or out of range.
    """
    field, low_high = facts['receptive_field'], facts['value_range']
    for name, least, most in (('stride', 1, 4096), ('min_size', 1, 65536), ('pixel_bytes', 1e-3, 1e9)):
        if isinstance(facts[name], bool) or not least <= facts[name] <= most:
            raise ValueError(name)
    if not (field is None or (isinstance(field, int) and 0 < field <= LARGEST)) or list(low_high) != [0, 1]:
        raise ValueError('receptive_field or value_range')
    statistics = facts.get('global_statistics', [])  # files of earlier versions read none
    if statistics not in ([], ['scene']):
        raise ValueError('global_statistics')
    return Needs(
        stride=int(facts['stride']),
        min_size=int(facts['min_size']),
        value_range=(0.0, 1.0),
        receptive_field=field,
        global_statistics=bool(statistics),
    )


class ExportedNetwork(nn.Module):
    """Network that runs an onnxruntime session; it has no PyTorch parameters.

    Args:
        path: an ONNX file written by ``restorebox export``.
        device: see :func:`open_session`.

    Attributes:
        batched: whether it takes several pictures at once; files of earlier versions take one.
        providers: which execution providers run it, see :func:`~restorebox.inference.providers.used_providers`.
        facts: metadata of the file.
        needs: as of a backbone; the receptive field includes the window of statistics.
        given: names of the inputs besides the picture.

    Raises:
        ConfigError, ExportError, MissingPackageError: see :func:`open_session`, :func:`session_facts` and
            :func:`~restorebox.inference.providers.used_providers`.
    """

    def __init__(self, path: str | Path, device: str = 'cpu') -> None:
        super().__init__()
        self._path = path
        self._session = open_session(path, str(path), device)
        self.facts = session_facts(self._session, str(path))
        self.needs = _needs(self.facts)
        self.given = ('scene',) if self.needs.global_statistics else ()
        names = tuple(each.name for each in self._session.get_inputs())
        if names != ('picture', *self.given):
            raise ExportError(f'model {path}: its inputs are {names}; they must be {("picture", *self.given)}')
        self.batched = self._session.get_inputs()[0].shape[:1] != [1]
        self.providers = used_providers(self._session, device, str(path))

    @property
    def backbone(self) -> ExportedNetwork:
        """The network itself: a file has no parts."""
        return self

    def global_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.global_statistics`."""
        return {name: scene_statistics(x) for name in self.given}

    def forward(self, x: Tensor, scene: Tensor | None = None) -> dict[str, Tensor]:
        """Restore pictures.

        Args:
            x: ``(N, 3, H, W)`` in [0, 1], H and W multiples of the stride.
            scene: global statistics, ``(N or 1, 7, 32, 32)``; None: those of ``x``, where the file reads them.

        Returns:
            ``{'picture': same shape}``.

        Raises:
            ExportError: the graph fails, or its output has another shape.
        """
        try:
            inputs = {'picture': x.contiguous()}
            if self.given:
                scene = scene_statistics(x) if scene is None else scene
                inputs['scene'] = scene.expand(len(x), -1, -1, -1).contiguous()
            count = len(x) if self.batched else 1
            parts = [{k: y[i : i + count].numpy() for k, y in inputs.items()} for i in range(0, len(x), count)]
            pictures = [self._session.run(None, part)[0] for part in parts]
            picture = torch.cat([torch.from_numpy(each) for each in pictures])
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise ExportError(f'model {self._path}: its graph fails: {" ".join(str(error).split())[:200]}') from None
        if picture.shape != x.shape or not picture.is_floating_point():
            raise ExportError(f'model {self._path}: gives {tuple(picture.shape)} for a picture of {tuple(x.shape)}')
        return {'picture': picture}


class ExportedRestorer(BaseRestorer):
    """Restorer with an exported file as its network; padding and cropping are those of ``BaseRestorer``.

    Args:
        path: see :class:`ExportedNetwork`.
        device: see :func:`open_session`.
    """

    def __init__(self, path: str | Path, device: str = 'cpu') -> None:
        super().__init__()
        self.generator = ExportedNetwork(path, device)
        self.eval()

    @property
    def pixel_bytes(self) -> float:
        """Memory of a forward pass in bytes per pixel, measured in PyTorch at export."""
        return float(self.generator.facts['pixel_bytes'])
