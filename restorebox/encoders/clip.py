"""The image tower of CLIP ViT-B/32 and its weights file.

Radford et al. 2021, "Learning transferable visual models from natural language supervision",
https://arxiv.org/abs/2103.00020, section 2.4. The network's class comes from the package open-clip-torch.
"""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.encoders.frozen import CLIP_FILE, load_state, weights_file
from restorebox.errors import WeightsError

CLIP_FILES = (CLIP_FILE, 'ViT-B-32.pth', 'ViT-B-32.pt')
"""File names of CLIP's weights; the first existing file is used."""

CLIP_SIDE = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
NO_OPEN_CLIP = "CLIP needs the package open-clip-torch, which is not installed: pip install 'restorebox[clip]'"


def clip_file(weights: str | None = None) -> Path:
    """Return the path of CLIP's weights file.

    Args:
        weights: a path, or None for the first of ``CLIP_FILES`` in ``$TORCH_HOME/hub/checkpoints``.

    Raises:
        WeightsError: there is no such file, or it is a TorchScript archive, like OpenAI's ``ViT-B-32.pt``.
    """
    if weights is None:
        folder = Path(torch.hub.get_dir()) / 'checkpoints'
        there = [folder / name for name in CLIP_FILES if (folder / name).is_file()]
        path = there[0] if there else weights_file(CLIP_FILE)  # raises
    else:
        path = Path(weights)
        if not path.is_file():
            raise WeightsError(f'weights file {path} does not exist')
    if _is_torchscript(path):
        # reading it would execute it; its owner has to decide once whether to trust it
        convert = (
            f"import torch; torch.save(torch.jit.load('{path}', 'cpu').state_dict(), '{path.with_suffix('.pth')}')"
        )
        raise WeightsError(
            f'{path} is a TorchScript archive, a program and not a file of weights; if you trust it, convert it once '
            f'by: python -c "{convert}"'
        )
    return path


def clip_tower(weights: str | None = None, quick_gelu: bool = True) -> nn.Module:
    """Build the network of :class:`CLIPVisual`: RGB ``(N, 3, H, W)`` in [0, 1] -> ``{'embedding': (N, 512)}``."""
    path = clip_file(weights)  # before the slow import of the package, so that a missing file is reported at once
    try:
        from open_clip.transformer import QuickGELU, VisionTransformer
    except ImportError as error:
        raise WeightsError(NO_OPEN_CLIP if not find_spec('open_clip') else f'open_clip: {error}') from error

    with torch.device('meta'):  # weights are loaded from the file, not initialised
        visual = VisionTransformer(
            image_size=CLIP_SIDE,
            patch_size=32,
            width=768,
            layers=12,
            heads=12,
            mlp_ratio=4.0,
            output_dim=512,
            act_layer=QuickGELU if quick_gelu else nn.GELU,
        )
    state = _visual_state(path)
    wrong = _misfit(state, visual.state_dict())
    if wrong is not None:
        raise WeightsError(f"{path} does not hold the image tower of CLIP ViT-B/32 in OpenAI's layout: {wrong}")
    visual.load_state_dict({key: value.detach().float() for key, value in state.items()}, assign=True)
    return _CLIPTower(visual)


class _CLIPTower(nn.Module):
    """Resizing, normalisation and image tower."""

    mean: Tensor
    std: Tensor

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual
        self.register_buffer('mean', torch.tensor(CLIP_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(CLIP_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        if x.shape[-2:] != (CLIP_SIDE, CLIP_SIDE):
            x = F.interpolate(x, (CLIP_SIDE, CLIP_SIDE), mode='bicubic', align_corners=False, antialias=True)
        return {'embedding': self.visual((x - self.mean) / self.std)}


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(Path(name).name == 'constants.pkl' for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _visual_state(path: Path) -> dict[str, Tensor]:
    """Return the image tower's weights in a file, without the prefix ``visual.``."""
    from safetensors import SafetensorError, safe_open

    if path.suffix == '.safetensors':
        try:
            with safe_open(path, framework='pt', device='cpu') as file:
                names = {name: name for name in file.keys()}  # noqa: SIM118 (it can't be iterated)
                return {key: file.get_tensor(name) for key, name in _visual_keys(names).items()}
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} can't be read as weights: {str(error).splitlines()[0]}") from error
    state = load_state(path)
    nested = state.get('state_dict')  # checkpoints of open_clip
    return _visual_keys(nested if isinstance(nested, dict) else state)


def _visual_keys(state: dict) -> dict:
    """Select the entries under ``visual.*``, or ``module.visual.*`` as DDP names them."""
    keys = {key: key.removeprefix('module.') for key in state if isinstance(key, str)}
    return {bare.removeprefix('visual.'): state[key] for key, bare in keys.items() if bare.startswith('visual.')}


def _misfit(state: dict, wanted: dict[str, Tensor]) -> str | None:
    """Return the first error in a file's weights; None if they fit."""
    if not state:
        return 'it has no visual.* keys'
    for key, like in wanted.items():
        if key not in state:
            return f'visual.{key} is missing'
        if not isinstance(state[key], Tensor):
            return f'visual.{key} is a {type(state[key]).__name__}'
        if state[key].shape != like.shape:
            return f'visual.{key} is {tuple(state[key].shape)}, not {tuple(like.shape)}'
    extra = next((key for key in state if key not in wanted), None)
    return None if extra is None else f'it has visual.{extra}, which ViT-B/32 lacks'
