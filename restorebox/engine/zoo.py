"""Public weights of other projects, recognised by spandrel (extra ``zoo``), as checkpoints of a restorer.

The file has been read by :func:`restorebox.engine.checkpoint.load_file`, which runs nothing of it. spandrel only sees
the tensors. It recognises the architecture by their names and builds the network first without memory for weights.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from restorebox.backbones.spandrel_network import (
    SpandrelNetwork,
    architectures,
    described,
    network_classes,
    without_warnings,
)
from restorebox.errors import CheckpointError, ConfigError, MissingPackageError
from restorebox.restorers.base import BaseRestorer
from restorebox.untrusted import check_plain

PREFIX = 'generator.backbone.network.'
LAYERS = 1000  # no network has a longer sequence of layers
SPARE = 2**22  # weights that a network may have beyond those of its file, such as position tables
# licence of the code of each architecture, as the file LICENSE beside it in spandrel's repository names it (2026-02)
LICENCES = {
    'Apache-2.0': 'ATD CRAFT DAT DCTLSA DITN ESRGAN FBCNN GFPGAN IPT LaMa OmniSR RGT RestoreFormer SAFMN SAFMNBCIE '
    'SCUNet SPAN SeemoRe Swin2SR SwinIR',
    'MIT': 'DRCT DRUNet DnCNN FDAT FFTformer GRL HAT HVICIDNet KBNet MixDehazeNet MoESR MoSR NAFNet PLKSR RCAN '
    'RealCUGAN RetinexFormer Uformer',
    'BSD-3-Clause': 'Compact MMRealSR',
    'CC0-1.0': 'SwiftSRGAN',
    'CC-BY-SA-4.0': 'AuraSR',
    # of spandrel_extra_arches, which a user installs by choice
    'CC-BY-NC-SA-4.0, non-commercial': 'AdaCode FeMaSR',
    'CC-BY-NC-4.0, non-commercial': 'MAT SRFormer',
    'S-Lab License 1.0, non-commercial': 'CodeFormer',
    'academic and non-commercial use only': 'DDColor',
    'Academic Public License, non-commercial': 'M3SNet MIRNet2 MPRNet Restormer',
}
NO_WEIGHTS = 'that of the weights is not in the file'


def licence_of(architecture: Any) -> str:
    """Return the licence of the code of an architecture of spandrel."""
    package, _, folder = (type(architecture).__module__ + '...').split('.')[:3]
    known = {name: licence for licence, names in LICENCES.items() for name in names.split()}
    return known.get(folder, f'unknown, see {package}')


def architecture_licence(restorer: BaseRestorer) -> str | None:
    """Return name and licence of the architecture of a restorer's network; None if it is not of spandrel."""
    backbone = getattr(restorer.role(restorer.deployed[0]), 'backbone', None)
    if not isinstance(backbone, SpandrelNetwork):
        return None
    known = {str(each.architecture.id): each.architecture for each in architectures()}
    architecture = known[str(backbone.settings['architecture'])]
    return f'{architecture.name}: {licence_of(architecture)} (code of the architecture)'


def architecture_licences() -> list[tuple[str, str, str]]:
    """Return (identifier, licence, package) of each architecture of spandrel; empty if it is not installed."""
    try:
        registry = architectures()
    except MissingPackageError:
        return []
    found = [each.architecture for each in registry]
    rows = [(str(each.id), licence_of(each), type(each).__module__.split('.')[0]) for each in found]
    return sorted(rows, key=lambda row: row[0].lower())


def with_config(checkpoint: dict, path: str | Path) -> dict:
    """Add a config to public weights and rename them for it; other checkpoints are returned unchanged.

    Args:
        checkpoint: result of :func:`~restorebox.engine.checkpoint.load_file`.
        path: the file, for messages.

    Returns:
        A checkpoint with ``cfg_json`` of a ``SupervisedRestorer`` of a ``SpandrelNetwork``.

    Raises:
        CheckpointError: spandrel recognises the weights, but they are not of a network that can be used here.
    """
    state = checkpoint['state_dict']
    if 'cfg_json' in checkpoint['meta'] or any(key.startswith('generator.') for key in state):
        return checkpoint
    try:
        registry = architectures()
    except MissingPackageError:
        return checkpoint
    from spandrel import canonicalize_state_dict

    state = canonicalize_state_dict(state)
    architecture = next((each.architecture for each in registry.architectures('detection') if each.detect(state)), None)
    if architecture is None:
        return checkpoint
    # imported late: published.py imports this module
    from restorebox.engine.published import bounded_building

    _check_numbers(state, path)
    try:
        with bounded_building():
            found = described(lambda: architecture.load(dict(state)))
        hyperparameters = _plain(found.model)
        _check_size(found.model.state_dict(), state)
        with without_warnings():
            weights = architecture.load(dict(state)).model.state_dict()
    except (ConfigError, CheckpointError) as error:
        raise CheckpointError(f'checkpoint {path}: {error}') from None
    except Exception as error:  # other projects' code, given names and shapes of an untrusted file
        reason = ' '.join(str(error).split())[:200]
        raise CheckpointError(
            f'checkpoint {path}: it is no {architecture.name} that spandrel can load: {reason}'
        ) from None
    backbone = dict(
        type='SpandrelNetwork',
        architecture=str(architecture.id),
        network=next(name for name, each in network_classes(architecture).items() if each is type(found.model)),
        hyperparameters=hyperparameters,
    )
    model = dict(
        type='SupervisedRestorer',
        generator=dict(backbone=backbone, head=dict(type='IdentityHead', output='picture')),
        losses=dict(l1=dict(type='L1Loss')),
    )
    licence = f'{architecture.name}: {licence_of(architecture)} (code of the architecture); {NO_WEIGHTS}'
    meta = {**checkpoint['meta'], 'cfg_json': json.dumps({'model': model}), 'licence': licence}
    return {**checkpoint, 'state_dict': {PREFIX + key: value for key, value in weights.items()}, 'meta': meta}


def _check_numbers(state: dict[str, Tensor], path: str | Path) -> None:
    """Refuse layer numbers of forged names: spandrel loops up to the highest before it builds anything."""
    for key in state:
        if any(part.isdecimal() and (len(part) > 4 or int(part) > LAYERS) for part in key.split('.')):
            raise CheckpointError(f'checkpoint {path}: {key[:80]} has a layer number above {LAYERS}')


def _plain(network: Any) -> dict:
    """Return a network's hyperparameters as plain data, without classes that are the constructor's defaults.

    Raises:
        ValueError: others are not plain data.
    """
    defaults = inspect.signature(type(network).__init__).parameters
    kept = {}
    for name, value in network.hyperparameters.items():
        if (
            name in defaults
            and value is defaults[name].default
            and not isinstance(value, (int, float, str, list, tuple))
        ):
            continue
        kept[name] = json.loads(json.dumps(value))
    check_plain(kept)
    return kept


def _check_size(network: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Check that a network is not much larger than its file, before memory is allocated."""
    needed, held = (sum(value.numel() for value in weights.values()) for weights in (network, state))
    if needed > 2 * held + SPARE:
        raise CheckpointError(f'its names claim a network of {needed:,} weights, and it holds {held:,}')
