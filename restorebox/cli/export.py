"""Make one file of a model for other runtimes: ONNX, TorchScript or PyTorch's pt2, for pictures of any size.

The file is compared with PyTorch on three sizes before it is put in place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.errors import ExportError


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``export``."""
    parser = argparse.ArgumentParser(prog='restorebox export', description=__doc__)
    parser.add_argument('config', help='a config, or the name of a model (`restorebox models` lists them)')
    parser.add_argument('checkpoint', nargs='?', help="the weights; may be left out where a name's are published")
    parser.add_argument('--to', required=True, choices=('onnx', 'torchscript', 'pt2'), help='the kind of file')
    parser.add_argument('--out', help="the file to write (default: the config's name with .onnx, .ts or .pt2)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Export; prints the file's size and how near it comes to PyTorch."""
    args = parse(argv)
    from restorebox.engine.checkpoint import load_file, sha256, write_bytes
    from restorebox.inference.exporting import KINDS, export_restorer, file_facts
    from restorebox.inference.models import find_weights, is_url, load_model

    out = Path(args.out or Path(args.config).stem + KINDS[args.to])
    if out.suffix != KINDS[args.to]:
        raise ExportError(f'{out}: a file of the kind {args.to} is named *{KINDS[args.to]}')
    if not out.parent.is_dir():
        raise ExportError(f'{out}: there is no folder {out.parent} to write it into')
    restorer = load_model(args.config, args.checkpoint)
    weights = args.checkpoint if args.checkpoint and not is_url(args.checkpoint) else None
    weights = weights or find_weights(args.checkpoint or args.config)
    facts = file_facts(restorer, Path(args.config).stem)
    facts['source_sha256'] = sha256(weights)
    meta = load_file(weights)['meta']
    facts |= {name: meta[name] for name in ('licence', 'limits') if meta.get(name)}
    data, worst = export_restorer(restorer, args.to, facts)
    write_bytes(data, out)
    print(f'{out}: {len(data) / 2**20:.2f} MiB, within {worst:.1e} of PyTorch on three sizes, sha256 {sha256(out)}')
