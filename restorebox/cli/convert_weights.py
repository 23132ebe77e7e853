"""Make a checkpoint of ours from public weights.

Kinds: ``cyclegan`` (netG_A and netD_A of the authors' PyTorch code, A being the degraded side), ``cut`` (netG, netD,
netF), ``pix2pix`` (netG, netD), ``owan`` (generator) and ``heavy_rain`` (the authors' files with ``G`` and ``D``; each
role takes its part of the file). The config says what the networks are; names, numbers and shapes of all layers are
checked against it.

    convert-weights cyclegan out.pth --weights generator=latest_net_G_A.pth discriminator=latest_net_D_A.pth
    convert-weights heavy_rain out.pth --weights physics=stage2.pth generator=stage2.pth discriminator=stage2.pth
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from restorebox.errors import CheckpointError, ConfigError

# kind -> the config that its networks are those of, unless another is given
KINDS = {
    'cyclegan': 'configs/cyclegan/cyclegan_spa.py',
    'cut': 'configs/cut/cut_spa.py',
    'pix2pix': 'configs/infoaccum/rain800_pix2pix.py',
    'owan': 'configs/fdrnet/div2k_hybrid_owan.py',
    'heavy_rain': 'configs/heavy_rain/heavy_rain_authors.py',
}


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``convert-weights``."""
    parser = argparse.ArgumentParser(
        prog='restorebox convert-weights', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', choices=tuple(KINDS))
    parser.add_argument('out', type=Path, help='the checkpoint to write (.pth or .safetensors)')
    parser.add_argument(
        '--weights', nargs='+', required=True, metavar='ROLE=FILE', help='public weights for roles of the restorer'
    )
    parser.add_argument('--config', help="a config of the networks (default: the kind's own, see configs/)")
    return parser.parse_args(argv)


def _files(given: list[str], roles: tuple[str, ...]) -> dict[str, str]:
    from restorebox.registry import nearest

    files = {}
    for item in given:
        role, separator, file = item.partition('=')
        if not separator or not file:
            raise ConfigError(f'--weights {item}: it must be ROLE=FILE, e.g. generator=latest_net_G_A.pth')
        if role not in roles:
            raise ConfigError(f"--weights {item}: the config has no role '{role}'; {nearest(role, roles)}")
        if role in files:
            raise ConfigError(f'--weights {item}: {role} is given already, as {files[role]}')
        files[role] = file
    return files


def main(argv: list[str]) -> None:
    """Convert; writes the file whole or not at all."""
    args = parse(argv)
    import torch
    from safetensors.torch import save

    from restorebox.engine.checkpoint import load_file, save_file, sha256, write_bytes
    from restorebox.engine.config import load_config
    from restorebox.engine.conversion import convert_by_order, convert_owan
    from restorebox.engine.conversion_names import HEAVY_RAIN, convert_by_name
    from restorebox.registry import RESTORERS

    if args.out.suffix not in ('.pth', '.safetensors'):
        raise CheckpointError(f'{args.out}: give it the suffix .pth or .safetensors')
    cfg = load_config(args.config or KINDS[args.kind])
    with torch.device('meta'):
        restorer = RESTORERS.build(cfg.model.to_dict())
    roles = tuple(name for name, child in restorer.named_children() if child.state_dict())
    files = _files(args.weights, roles)
    convert = convert_owan if args.kind == 'owan' else convert_by_order
    state = {}
    for role, file in files.items():
        try:
            if args.kind == 'heavy_rain':
                state_of_file = load_file(file, key=HEAVY_RAIN[role][0])['state_dict']
                part = convert_by_name(state_of_file, restorer.role(role), role)
            else:
                part = convert(load_file(file)['state_dict'], restorer.role(role))
        except CheckpointError as error:
            raise CheckpointError(f'{role}={file}: {error}') from None
        for key, value in part.items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise CheckpointError(f'{role}={file}: weight {key} is NaN or infinite')
            state[f'{role}.{key}'] = value.contiguous()
    facts = {
        'format': 'restorebox 1',
        'cfg_json': json.dumps(cfg.to_dict(), default=str),
        'converted_from': {role: {'kind': args.kind, 'sha256': sha256(file)} for role, file in files.items()},
    }
    if args.out.suffix == '.pth':
        save_file({'state_dict': state, 'meta': facts}, args.out)
    else:
        write_bytes(save(state, {key: json.dumps(value) for key, value in facts.items()}), args.out)
    count = sum(value.numel() for value in state.values())
    print(f'{args.out}: {count:,} weights of {", ".join(files)}, sha256 {sha256(args.out)}')
