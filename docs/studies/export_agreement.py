"""Compare ONNX files of networks at full width with PyTorch, with random weights.

    python docs/studies/export_agreement.py --out docs/results/export_agreement.json CONFIG ...

Writes the largest difference over three sizes of noise input, and the mean change that each network makes to its input.
"""

import argparse
import json
from pathlib import Path

import torch

from restorebox.cli.common import guarded
from restorebox.engine.config import load_config
from restorebox.inference.exporting import export_restorer, file_facts
from restorebox.metrics.scores import library_versions
from restorebox.registry import RESTORERS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', nargs='+')
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    rows = {}
    for name in args.config:
        torch.manual_seed(0)
        restorer = RESTORERS.build(load_config(name).model).eval()
        for layer in restorer.generator.head.modules():
            if isinstance(layer, torch.nn.Conv2d) and not layer.weight.any():
                torch.nn.init.normal_(layer.weight, 0, 0.02)  # from zero, the picture would pass as it is
        x = torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            change = (restorer.restore(x)['pred'] - x).abs().mean().item()
        data, worst = export_restorer(restorer, 'onnx', file_facts(restorer, Path(name).stem))
        weights = sum(p.numel() for role in restorer.deployed for p in getattr(restorer, role).parameters())
        rows[name] = {'weights': weights, 'bytes': len(data), 'change': change, 'worst': worst}
        print(name, rows[name], flush=True)
    args.out.write_text(json.dumps({'rows': rows, 'libraries': library_versions()}, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)
