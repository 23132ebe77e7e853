"""Model zoo: lookup of models by name in ``configs/METHOD/metafile.yml``, and loading of their weights.

Every config is a model of its metafile's collection. ``Models`` lists those with weights or other information::

    - Name: weather
      Weights: configs/fdrnet/weather.safetensors   # in the package, on disk, or a URL
      SHA256: 64 hexadecimal digits
      Precision: bf16   # lowest precision with a loss below 0.1 dB; omitted if not measured
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from restorebox.engine.checkpoint import sha256
from restorebox.engine.download import download
from restorebox.engine.hub import fetch_from_hub, is_hub_name, parse_hub_name
from restorebox.engine.published import load_restorer
from restorebox.errors import CheckpointError, ConfigError
from restorebox.files import DEFAULT_MODEL, configs_dir, packaged
from restorebox.registry import nearest
from restorebox.restorers.base import BaseRestorer
from restorebox.yaml_files import read_yaml

WEIGHTS_SUFFIXES = ('.safetensors', '.pth')
_SHA256 = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True)
class ModelEntry:
    """Entry of the model zoo.

    Attributes:
        name: of the model.
        collection: name of its method.
        config: path of its config, beginning with ``configs/``.
        weights: a path below ``configs/`` or of a file on disk, or a URL; None without published weights.
        sha256: hash of the weights file, 64 hexadecimal digits.
        paper: (title, URL) of the method, or None.
        precision: lowest precision with a loss below 0.1 dB, ``'bf16'``; None if not measured.
    """

    name: str
    collection: str
    config: str
    weights: str | None = None
    sha256: str | None = None
    paper: tuple[str, str] | None = None
    precision: str | None = None


def known_models(folder: str | Path | None = None) -> dict[str, ModelEntry]:
    """Return all models of the metafiles, by name.

    Args:
        folder: folder with ``METHOD/metafile.yml``; None for the configs of the package.

    Raises:
        ConfigError: a metafile can't be read, or a name occurs twice.
    """
    found: dict[str, ModelEntry] = {}
    for file in sorted(Path(folder or configs_dir()).glob('*/metafile.yml')):
        try:
            content = read_yaml(file)
            (collection,) = content['Collections']
            listed = {each['Name']: each for each in content.get('Models') or ()}
            names = dict.fromkeys([*sorted(path.stem for path in file.parent.glob('*.py')), *listed])
            entries = [_entry(name, file.parent.name, collection, listed.get(name, {})) for name in names]
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = ' '.join(str(error).split())
            raise ConfigError(f"metafile {file}: can't be read: {type(error).__name__}: {reason}") from error
        for entry in entries:
            if entry.name in found:
                raise ConfigError(f"metafile {file}: the model '{entry.name}' is in another metafile as well")
            found[entry.name] = entry
    return found


def _entry(name: str, folder: str, collection: dict, values: dict) -> ModelEntry:
    paper = collection.get('Paper')
    return ModelEntry(
        name=name,
        collection=collection['Name'],
        config=f'configs/{folder}/{name}.py',
        weights=values.get('Weights'),
        sha256=values.get('SHA256'),
        paper=(paper['Title'], paper['URL']) if paper else None,
        precision=values.get('Precision'),
    )


def models_with_weights(folder: str | Path | None = None) -> list[str]:
    """Return the names of the models with weights, ``DEFAULT_MODEL`` first.

    Args:
        folder: see :func:`known_models`.
    """
    names = (each.name for each in known_models(folder).values() if each.weights is not None)
    return sorted(names, key=lambda name: (name != DEFAULT_MODEL, name))


def find_model(name: str, folder: str | Path | None = None) -> ModelEntry:
    """Return the model with a name.

    Args:
        name: name in a metafile.
        folder: see :func:`known_models`.

    Raises:
        ConfigError: there is none; the message suggests similar names.
    """
    models = known_models(folder)
    if name not in models:
        raise ConfigError(
            f"there is no model '{name}'; {nearest(name, list(models))} (`restorebox models --all` lists them; a file "
            f'of weights is named {" or ".join("*" + suffix for suffix in WEIGHTS_SUFFIXES)})'
        )
    return models[name]


def is_url(text: str) -> bool:
    """Return whether a string is a URL, or names a file on the Hub (``hf://``)."""
    return text.startswith(('http://', 'https://')) or is_hub_name(text)


def stem_of(model: str) -> str:
    """Return a model's name without folders, suffix, revision and hash, for the name of a file made from it."""
    if is_hub_name(model):
        name = parse_hub_name(model)
        return Path(name.file or name.name).stem
    return Path(model.split('#sha256=')[0] if is_url(model) else model).stem


def weights_path(weights: str, digest: str | None) -> Path:
    """Return the local path of a weights file after checking its hash; a URL is downloaded once.

    Args:
        weights: a path, a path below ``configs/``, a URL, or ``hf://OWNER/NAME[/FILE][@REVISION]``.
        digest: its SHA-256; required for a URL.

    Raises:
        CheckpointError: no such file, wrong hash, or the download fails.
    """
    if digest is not None and not _SHA256.fullmatch(digest):
        raise CheckpointError(f"weights {weights}: the sha256 is '{digest}'; it must be 64 hexadecimal digits")
    if is_hub_name(weights):
        return fetch_from_hub(weights if digest is None else f'{weights}#sha256={digest}')
    if is_url(weights):
        return _downloaded(weights, digest)
    path = packaged(weights)
    if not path.is_file():
        raise CheckpointError(f'weights {weights}: no such file')
    _check_hash(path, digest, weights)
    return path


def cached_path(url: str, digest: str) -> Path:
    """Return the local path of a downloaded file: ``$TORCH_HOME/hub/checkpoints/restorebox/...``."""
    return Path(torch.hub.get_dir()) / 'checkpoints' / 'restorebox' / digest[:12] / url.split('?')[0].rsplit('/', 1)[-1]


def _downloaded(url: str, digest: str | None) -> Path:
    if digest is None:
        raise CheckpointError(
            f'weights {url}: a URL needs the hash of its file; write URL#sha256=64 hexadecimal digits'
        )
    path = cached_path(url, digest)
    if not path.is_file():
        try:  # atomic, so that several ranks may download at the same time
            download(url, path, digest)
        except CheckpointError as error:
            raise CheckpointError(f'weights {error}') from None
    _check_hash(path, digest, url)
    return path


def _check_hash(path: Path, digest: str | None, weights: str) -> None:
    if digest is not None and (own := sha256(path)) != digest:
        raise CheckpointError(
            f'weights {weights}: {path} has the sha256 {own}, it should have {digest}; it is damaged or another file'
        )


def find_weights(model: str, folder: str | Path | None = None) -> Path:
    """Return the weights file of a name, a path or a URL.

    Args:
        model: a model's name, a path of a weights file, ``URL#sha256=DIGITS`` or ``hf://...``, see
            :func:`~restorebox.engine.hub.parse_hub_name`.
        folder: see :func:`known_models`.

    Raises:
        ConfigError: no such model, or it has no published weights; or another form of ``hf://``.
        CheckpointError: see :func:`weights_path`.
    """
    if is_hub_name(model):
        return fetch_from_hub(model)
    if is_url(model):
        url, _, digest = model.partition('#sha256=')
        return weights_path(url, digest or None)
    if Path(model).suffix in WEIGHTS_SUFFIXES:
        return weights_path(model, None)
    if Path(model).suffix == '.py':
        raise ConfigError(f'model {model}: a config needs a checkpoint with the weights as well')
    entry = find_model(model, folder)
    if entry.weights is None:
        ready = models_with_weights(folder)
        raise ConfigError(
            f"model '{model}' has no published weights: train it with `restorebox train {entry.config}` and name the "
            f'checkpoint; models with weights: {", ".join(ready) or "none"}'
        )
    return weights_path(entry.weights, entry.sha256)


def checkpoint_file(checkpoint: str) -> str:
    """Return a checkpoint's path or URL unchanged, and for the name of a model its weights file.

    Raises:
        ConfigError, CheckpointError: see :func:`find_weights`.
    """
    path = Path(checkpoint)
    named = len(path.parts) == 1 and not path.suffix and not path.is_file()
    return str(find_weights(checkpoint)) if named else checkpoint


def model_files(model: str, checkpoint: str | None = None) -> tuple[str, str]:
    """Return the config and the weights file of a model.

    Args:
        model: a model's name; with ``checkpoint`` a config: its path or the name of a model.
        checkpoint: weights for a config: a path, ``URL#sha256=DIGITS`` or a model's name.

    Raises:
        ConfigError, CheckpointError: see :func:`find_weights`.
    """
    if checkpoint is None:
        weights = str(find_weights(model))
        return find_model(model).config, weights
    return model, str(find_weights(checkpoint)) if is_url(checkpoint) else checkpoint_file(checkpoint)


def weights_digest(model: str, checkpoint: str | None = None) -> str:
    """Return the SHA-256 of a model's weights without loading or downloading them.

    Args:
        model: see :func:`load_model`; or an ONNX file.
        checkpoint: see :func:`load_model`.

    Raises:
        ConfigError, CheckpointError, ExportError: see :func:`find_weights`.
    """
    named = model if checkpoint is None else checkpoint
    if is_url(named) and _SHA256.fullmatch(digest := named.partition('#sha256=')[2]):
        return digest
    if checkpoint is not None or Path(model).suffix == '.onnx':
        if not is_url(named) and not Path(named).is_file():
            kind = 'checkpoint' if checkpoint is not None else 'model'
            raise CheckpointError(f'{kind} {named}: no such file')
        return sha256(find_weights(named) if is_url(named) else Path(named))
    entry = None if is_url(model) or Path(model).suffix in WEIGHTS_SUFFIXES + ('.py',) else find_model(model)
    if entry is not None and entry.weights is not None and entry.sha256 is not None:
        return entry.sha256
    return sha256(find_weights(model))


def supported_precision(model: str, folder: str | Path | None = None) -> str | None:
    """Return the ``precision`` of a model's entry; None for a file or without a measurement."""
    entry = None if Path(model).suffix in WEIGHTS_SUFFIXES else known_models(folder).get(model)
    return None if entry is None else entry.precision


def load_model(model: str, checkpoint: str | None = None, device: str | torch.device = 'cpu') -> BaseRestorer:
    """Load a restorer with its weights, in evaluation mode.

    Args:
        model: a model's name, a training checkpoint, a published file, ``URL#sha256=DIGITS``, or with ``checkpoint`` a
            config: its path or the name of a model.
        checkpoint: weights for a config: a path, or ``URL#sha256=DIGITS``.
        device: device of the restorer.

    Raises:
        ConfigError, CheckpointError: unknown model, or the weights can't be read or don't match.
    """
    if checkpoint is None:
        return load_restorer(find_weights(model), device)
    config = model if Path(model).suffix == '.py' else find_model(model).config
    if not is_url(checkpoint) and not Path(checkpoint).is_file():
        raise CheckpointError(f'checkpoint {checkpoint}: no such file')
    from restorebox.engine.config import load_config, model_of  # imports MMEngine's Runner, to check the config

    path = find_weights(checkpoint) if is_url(checkpoint) else checkpoint
    return load_restorer(path, device, model_of(load_config(config), config))
