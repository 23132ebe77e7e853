"""List the models with weights; with --all also those to be trained, and the rows of configs that `--row` takes."""

from __future__ import annotations

import argparse


def main(argv: list[str]) -> None:
    """Print a line per model (name, availability of weights, method, config), then a line per row of a config."""
    parser = argparse.ArgumentParser(prog='restorebox models', description=__doc__)
    parser.add_argument(
        '--all',
        action='store_true',
        help='also models without weights, rows of configs, and architectures of the extra `zoo`',
    )
    everything = parser.parse_args(argv).all
    from restorebox.engine.zoo import architecture_licences
    from restorebox.files import DEFAULT_MODEL, configs_dir
    from restorebox.inference.models import is_url, known_models
    from restorebox.rows import read_rows

    rows: list[tuple[str, ...]] = [('MODEL', 'WEIGHTS', 'METHOD', 'CONFIG')]
    models = known_models().values()
    for entry in sorted(models, key=lambda each: (each.weights is None, each.name != DEFAULT_MODEL, each.name)):
        where = 'to be trained' if entry.weights is None else 'download' if is_url(entry.weights) else 'there'
        if everything or entry.weights is not None:
            rows.append((entry.name, where, entry.collection, entry.config))
    _print_table(rows)
    if not everything:
        count = len(models) + 1 - len(rows)
        print(f'\n{count} models without weights and the rows of configs: restorebox models --all')
        return
    rows = [('CONFIG', 'ROW', 'WHAT IT IS')]
    for folder in sorted(path.parent for path in configs_dir().glob('*/rows.yml')):
        found = read_rows(folder).values()
        for config in dict.fromkeys(name for row in found for name in row.of):
            rows += [(f'configs/{folder.name}/{config}', row.name, row.about) for row in found if config in row.of]
    print()
    _print_table(rows)
    if licences := architecture_licences():
        print('\nArchitectures of other projects (extra `zoo`), with the licence of their code:')
        _print_table([('ARCHITECTURE', 'LICENCE', 'PACKAGE'), *licences])


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print('  '.join([*(f'{text:<{width}}' for text, width in zip(row, widths, strict=False)), row[-1]]))
