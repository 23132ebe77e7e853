"""Restorer that runs an exported ONNX file with onnxruntime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
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


MOST_STRIDE = 1024  # of a file's network; every picture is padded to its min_size, at most twice this
RESERVED = {'self', 'x', 'taps', 'only_taps', 'scene', 'picture', 'restored'}  # no names of means of features


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
    for name, least, most in (('stride', 1, MOST_STRIDE), ('min_size', 1, 2 * MOST_STRIDE), ('pixel_bytes', 1e-3, 1e9)):
        if isinstance(facts[name], bool) or not least <= facts[name] <= most:
            raise ValueError(name)
    if not (field is None or (isinstance(field, int) and 0 < field <= LARGEST)) or list(low_high) != [0, 1]:
        raise ValueError('receptive_field or value_range')
    statistics = facts.get('global_statistics', [])  # files of earlier versions read none
    if statistics not in ([], ['scene']):
        raise ValueError('global_statistics')
    means = facts.get('feature_means', {})  # files of earlier versions average over each tile
    if not isinstance(means, dict) or not all(type(n) is int and 0 < n <= 65536 for n in means.values()):
        raise ValueError('feature_means')
    if not all(name.isidentifier() for name in means) or RESERVED & {*means}:
        raise ValueError('feature_means')
    return Needs(
        stride=int(facts['stride']),
        min_size=int(facts['min_size']),
        value_range=(0.0, 1.0),
        receptive_field=field,
        global_statistics=bool(statistics),
        feature_means=tuple(means),
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
        self._statistics = ('scene',) if self.needs.global_statistics else ()
        self.given = (*self._statistics, *self.needs.feature_means)
        self._channels = self.facts.get('feature_means', {})
        optional = self._session.get_overridable_initializers() if self._channels else []
        self._outputs = [each.name for each in self._session.get_outputs()]
        for what, found, right in (
            ('inputs', [each.name for each in self._session.get_inputs()], ['picture', *self._statistics]),
            ('optional inputs', [each.name for each in optional], [*self._channels]),
            ('further outputs', self._outputs[1:], [f'features_{tap}' for tap in self._channels]),
        ):
            if found != right:
                raise ExportError(f'model {path}: its {what} are {found}; they must be {right}')
        for each in optional:
            shape = [1, self._channels[each.name], 1, 1]
            if (each.type, each.shape) != ('tensor(float)', shape):
                raise ExportError(f"model {path}: its input '{each.name}' is {each.type} {each.shape}, not {shape}")
        self.batched = self._session.get_inputs()[0].shape[:1] != [1]
        self.providers = used_providers(self._session, device, str(path))

    @property
    def backbone(self) -> ExportedNetwork:
        """The network itself: a file has no parts."""
        return self

    def global_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.global_statistics`."""
        return {name: scene_statistics(x) for name in self._statistics}

    def forward(
        self,
        x: Tensor,
        taps: tuple[str, ...] = (),
        only_taps: bool = False,
        scene: Tensor | None = None,
        **means: Tensor,
    ) -> dict[str, Tensor]:
        """Restore pictures.

        Args:
            x: ``(N, 3, H, W)`` in [0, 1], H and W multiples of the stride.
            taps: names in ``needs.feature_means``: features to return instead of the pictures.
            only_taps: True with ``taps``.
            scene: global statistics, ``(N or 1, 7, 32, 32)``; None: those of ``x``, where the file reads them.
            means: of the features in ``needs.feature_means`` over the whole picture, ``(N or 1, C, 1, 1)``; those of
                ``x`` for the others.

        Returns:
            ``{'picture': same shape}``, or tap -> ``(N, C, h, w)``, H and W divided by the same number.

        Raises:
            ExportError: the graph fails, or an output has another shape.
        """
        wanted = {tap: f'features_{tap}' for tap in taps} if only_taps else {'picture': self._outputs[0]}
        try:
            inputs = {'picture': x.contiguous()}
            if self._statistics:
                inputs['scene'] = scene_statistics(x) if scene is None else scene
            inputs |= means
            # a file has one mean for all pictures of a pass
            count = len(x) if self.batched and all(len(each) == 1 for each in means.values()) else 1
            parts = [self._part(inputs, i, count) for i in range(0, len(x), count)]
            passes = [self._session.run([*wanted.values()], part) for part in parts]
            made = [torch.cat([torch.from_numpy(y) for y in each]) for each in zip(*passes, strict=True)]
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise ExportError(f'model {self._path}: its graph fails: {" ".join(str(error).split())[:200]}') from None
        outputs = dict(zip(wanted, made, strict=True))
        for name, y in outputs.items():
            if not y.is_floating_point() or (name == 'picture' and y.shape != x.shape):
                raise ExportError(f'model {self._path}: gives {tuple(y.shape)} for a picture of {tuple(x.shape)}')
            if name != 'picture':
                self._check_features(y, name, x)
        return outputs

    def _part(self, inputs: dict[str, Tensor], first: int, count: int) -> dict[str, np.ndarray]:
        """Return the inputs of ``count`` pictures from the index ``first``; statistics of one are those of all."""
        part = {}
        for name, x in inputs.items():
            if name == 'scene' and len(x) == 1:
                x = x.expand(count, -1, -1, -1)
            elif len(x) > 1 or name == 'picture':
                x = x[first : first + count]
            part[name] = x.contiguous().numpy()
        return part

    def _check_features(self, y: Tensor, tap: str, x: Tensor) -> None:
        """Raise an ExportError for features that are not ``(N, C, H / s, W / s)`` for a picture of HxW."""
        scale = x.shape[-1] // y.shape[-1] if y.dim() == 4 and 0 < y.shape[-1] <= x.shape[-1] else 0
        if not scale or y.shape != (len(x), self._channels[tap], x.shape[-2] // scale, x.shape[-1] // scale):
            raise ExportError(
                f"model {self._path}: its features '{tap}' are {tuple(y.shape)} for a picture of {tuple(x.shape)}"
            )


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
