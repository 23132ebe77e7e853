"""List the models by name, those with published weights first, and the rows of configs that `--row` takes."""

from __future__ import annotations

import argparse


def main(argv: list[str]) -> None:
    """Print a line per model (name, availability of weights, method, config), then a line per row of a config."""
    argparse.ArgumentParser(prog='restorebox models', description=__doc__).parse_args(argv)
    from restorebox.files import configs_dir
    from restorebox.inference.models import is_url, known_models
    from restorebox.rows import read_rows

    rows: list[tuple[str, ...]] = [('MODEL', 'WEIGHTS', 'METHOD', 'CONFIG')]
    for entry in sorted(known_models().values(), key=lambda each: (each.weights is None, each.name)):
        where = 'to be trained' if entry.weights is None else 'download' if is_url(entry.weights) else 'there'
        rows.append((entry.name, where, entry.collection, entry.config))
    _print_table(rows)
    rows = [('CONFIG', 'ROW', 'WHAT IT IS')]
    for folder in sorted(path.parent for path in configs_dir().glob('*/rows.yml')):
        found = read_rows(folder).values()
        for config in dict.fromkeys(name for row in found for name in row.of):
            rows += [(f'configs/{folder.name}/{config}', row.name, row.about) for row in found if config in row.of]
    print()
    _print_table(rows)


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print('  '.join([*(f'{text:<{width}}' for text, width in zip(row, widths, strict=False)), row[-1]]))
