"""List the models by name, those with published weights first."""

from __future__ import annotations

import argparse


def main(argv: list[str]) -> None:
    """Print a line for each model: name, where the weights are, method, config."""
    argparse.ArgumentParser(prog='restorebox models', description=__doc__).parse_args(argv)
    from restorebox.inference.models import is_url, known_models

    rows = [('MODEL', 'WEIGHTS', 'METHOD', 'CONFIG')]
    for entry in sorted(known_models().values(), key=lambda each: (each.weights is None, each.name)):
        where = 'to be trained' if entry.weights is None else 'download' if is_url(entry.weights) else 'there'
        rows.append((entry.name, where, entry.collection, entry.config))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        print('  '.join([*(f'{text:<{width}}' for text, width in zip(row, widths, strict=False)), row[-1]]))
