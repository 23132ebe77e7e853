"""Convert public weights to a checkpoint of restorebox.

Kinds: ``cyclegan`` (netG_A and netD_A of the authors' PyTorch code, with A the degraded domain), ``cut`` (netG, netD,
netF), ``pix2pix`` (netG, netD), ``heavy_rain`` (the authors' files with ``G`` and ``D``; each role takes its part of
the file); ``owan``, ``nafnet``, ``restormer``, ``promptir``, ``prenet`` and ``gunet`` (generator). The config defines
the networks; names, numbers and shapes of all layers are checked.

    convert-weights cyclegan out.pth --weights generator=latest_net_G_A.pth discriminator=latest_net_D_A.pth
    convert-weights nafnet out.pth --weights generator=NAFNet-GoPro-width32.pth
    convert-weights heavy_rain out.pth --weights physics=stage2.pth generator=stage2.pth discriminator=stage2.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.errors import ConfigError

# kind -> default config of its networks
KINDS = {
    'cyclegan': 'configs/cyclegan/cyclegan_spa.py',
    'cut': 'configs/cut/cut_spa.py',
    'pix2pix': 'configs/infoaccum/rain800_pix2pix.py',
    'owan': 'configs/fdrnet/div2k_hybrid_owan.py',
    'nafnet': 'configs/nafnet/nafnet_gopro.py',
    'restormer': 'configs/restormer/restormer_gopro.py',
    'promptir': 'configs/promptir/promptir_paired.py',
    'prenet': 'configs/prenet/prenet_rain100h.py',
    'gunet': 'configs/gunet/gunet_its.py',
    'heavy_rain': 'configs/heavy_rain/heavy_rain_authors.py',
}


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``convert-weights``."""
    parser = argparse.ArgumentParser(
        prog='restorebox convert-weights', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', choices=tuple(KINDS))
    parser.add_argument('out', type=Path, help='the checkpoint to write (.pth or .safetensors)')
    parser.add_argument(
        '--weights', nargs='+', required=True, metavar='ROLE=FILE', help='public weights for roles of the restorer'
    )
    parser.add_argument('--config', help='config of the networks (default: that of the kind, see configs/)')
    return parser.parse_args(argv)


def files_of(given: list[str]) -> dict[str, str]:
    """Parse arguments ROLE=FILE into a dict role -> file."""
    files: dict[str, str] = {}
    for item in given:
        role, separator, file = item.partition('=')
        if not separator or not file:
            raise ConfigError(f'--weights {item}: it must be ROLE=FILE, e.g. generator=latest_net_G_A.pth')
        if role in files:
            raise ConfigError(f'--weights {item}: {role} is given already, as {files[role]}')
        files[role] = file
    return files


def main(argv: list[str]) -> None:
    """Convert the weights; the output is written atomically."""
    args = parse(argv)
    from restorebox.engine.checkpoint import sha256
    from restorebox.engine.converting import convert_files

    files = files_of(args.weights)
    count = convert_files(args.kind, files, args.out, args.config or KINDS[args.kind])
    print(f'{args.out}: {count:,} weights of {", ".join(files)}, sha256 {sha256(args.out)}')
