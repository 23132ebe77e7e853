"""Parts of the pages that are made from data when the pages are built: model zoo, gallery, messages.

``conf.py`` calls :func:`write_parts` before Sphinx reads the pages; the pages include the parts. Nothing is typed by
hand: the data are the metafiles, docs/results, docs/claims/runs and the messages in the source of the package.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from restorebox import errors
from restorebox.files import DEFAULT_MODEL, configs_dir
from restorebox.inference.models import ModelEntry, find_model, is_url, known_models

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS / 'results'
PACKAGE = Path(errors.__file__).parent
PROTOCOLS = ('psnr_y', 'ssim_y')
INCLUDED = {  # model -> file of weather_scores.py
    'weather2_gated': 'weather2_gated_scores',
    'weather_gated': 'weather_gated_scores',
    'weather': 'weather',
}
LENGTHS = ('train_cfg.', 'default_hooks.checkpoint.', 'load_from')  # overrides that leave the method as it is
PERFECT = 99.0  # dB; psnr of equal pictures is stored as 100


@dataclass(frozen=True)
class Score:
    """Scores of one model on one test set, the mean over seeds.

    Attributes:
        config: path of the config, beginning with ``configs/``.
        row: row of the config; empty for none.
        run: label of the run in its file or name.
        changed: whether settings other than the length were changed by ``--row`` or ``--cfg-options``.
        data: test set.
        pictures: number of its pictures.
        seeds: number of trainings.
        samples: length of the training; None if the file does not say.
        window: window of the statistics in pixels; None for none or the whole picture.
        source: file that holds the figures, relative to docs/.
        values: score -> (of the input, of the output).
    """

    config: str
    row: str
    run: str
    changed: bool
    data: str
    pictures: int
    seeds: int
    samples: int | None
    window: int | None
    source: str
    values: dict[str, tuple[float | None, float]]


def _values(runs: list[dict]) -> dict[str, tuple[float | None, float]]:
    """Return score -> (input, output), each the mean over runs."""
    found: dict[str, tuple[float | None, float]] = {}
    for name in PROTOCOLS:
        if all(name in run for run in runs):
            before = [run[f'input/{name}'] for run in runs if f'input/{name}' in run]
            found[name] = (mean(before) if before else None, mean(run[name] for run in runs))
    return found


def _of_runs(runs: list[dict], label: str, data: str, source: Path) -> Score:
    first = runs[0]
    row = first.get('row') or ''
    changed = bool(row) or any(not key.startswith(LENGTHS) for key in first['overrides'])
    window = first['inference']['statistics_window']
    samples, where = first['training']['samples'], str(source.relative_to(DOCS))
    values = _values([run['mean'] for run in runs])
    return Score(first['config'], row, label, changed, data, first['count'], len(runs), samples, window, where, values)


def stored_scores() -> list[Score]:
    """Return all stored scores of configs: the included model's, the demo's, those of comparisons and of claims."""
    found = []
    for name, file in INCLUDED.items():
        scored = json.loads((RESULTS / f'{file}.json').read_text())
        for data, row in scored['summary'].items():
            window = scored['statistics_window']
            values = _values([row])
            config, source = find_model(name).config, f'results/{file}.json'
            found.append(Score(config, '', '', False, data, row['pictures'], 1, None, window, source, values))
    demo = RESULTS / 'demo.json'
    found.append(_of_runs([json.loads(demo.read_text())], '', 'photographs of `restorebox demo`', demo))
    claimed = set()
    for folder in sorted((DOCS / 'claims' / 'runs').glob('*/*')):
        groups: dict[str, list[dict]] = {}
        for path in sorted(folder.glob('*_s*.json')):
            run = json.loads(path.read_text()) | {'file': path}
            groups.setdefault(path.stem.rpartition('_s')[0], []).append(run)
        for label, runs in groups.items():
            found.append(_of_runs(runs, label, f'claims, budget `{folder.name}`', runs[0]['file']))
            claimed |= {(run['date'], run['config']) for run in runs}
    for path in sorted(RESULTS.glob('*.json')):
        content = json.loads(path.read_text())
        if not isinstance(content, dict) or not {'data', 'results'} <= set(content):
            continue
        for label, runs in content['results'].items():
            comparable = isinstance(runs, list) and all('training' in run and 'config' in run for run in runs)
            if comparable and not {(run['date'], run['config']) for run in runs} & claimed:
                found.append(_of_runs(runs, label, content['data'].split(';')[0].split(' (')[0], path))
    return found


def _cell(values: tuple[float | None, float], digits: int) -> str:
    before, after = values
    if before is None:
        return f'{after:.{digits}f} (clean input)'
    if before > PERFECT or before == 1:  # of a reconstruction, whose input is its target
        return f'{after:.{digits}f} (target as input)'
    return f'{before:.{digits}f} → {after:.{digits}f}'


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = ['| ' + ' | '.join(header) + ' |', '|---' * len(header) + '|']
    return '\n'.join(lines + ['| ' + ' | '.join(cell.replace('|', '\\|') for cell in row) + ' |' for row in rows])


def _sortable(table: str, label: str) -> str:
    """Return a table that docs/_static/tables.js makes sortable and gives a search field."""
    return f'````{{container}} sortable {label}\n{table}\n````\n'


def _pictures_of(entry: ModelEntry, scores: list[Score]) -> str:
    """Return links to pictures and charts that belong to the files with a model's scores: those of the same name."""
    found = {}
    for score in scores:
        if score.config == entry.config:
            stem = Path(score.source).stem
            found |= {f'images/{stem}.jpg': 'pictures', f'results/{stem}.png': 'chart'}
    return ', '.join(f'[{text}]({path})' for path, text in found.items() if (DOCS / path).is_file())


def zoo() -> str:
    """Return the tables of docs/models.md: every model, and every stored score."""
    scores = stored_scores()
    sizes = json.loads((RESULTS / 'models.json').read_text())
    rows = []

    def place(entry: ModelEntry) -> tuple:
        return entry.name != DEFAULT_MODEL, entry.weights is None, entry.collection, entry.name

    for entry in sorted(known_models().values(), key=place):
        size = sizes['models'].get(entry.name)  # None: a new config; tests/docs/test_generators.py names the script
        own = [each for each in scores if each.config == entry.config and not each.changed]
        summary = ''
        if own:
            before, after = own[0].values['psnr_y']
            summary = f'{_cell((before, after), 2)}, {own[0].data} ({own[0].pictures})'
            summary += f'; [{len(own) - 1} more](#stored-scores)' if len(own) > 1 else ''
        paper = f'[{entry.collection}]({entry.paper[1]})' if entry.paper else entry.collection
        if entry.weights is None:
            weights = 'to be trained'
        elif is_url(entry.weights):
            weights = f'[download]({entry.weights})'
        else:
            weights = f'included, {(configs_dir().parent / entry.weights).stat().st_size / 2**20:.1f} MiB'
        rows.append(
            [
                f'`{entry.name}`',
                summary,
                f'{sum(size["weights"].values()) / 1e6:.2f}' if size else '',
                f'{size["gmac"]:.1f}' if size else '',
                weights,
                paper,
                f'{size["samples"]:,}' if size else '',
                _pictures_of(entry, scores),
                f'`{entry.config}`',
            ]
        )
    header = ['model', 'psnr_y', 'parameters, M', f'GMAC at {sizes["side"]}x{sizes["side"]}', 'weights', 'method']
    header += ['training, samples', 'pictures', 'config']
    text = _sortable(_table(header, rows), 'zoo')
    text += '\n## Stored scores\n\n'
    rows = []
    for each in scores:
        names = [f'`{Path(each.config).stem}`', each.row or each.run, each.data, str(each.pictures)]
        values = [_cell(each.values[name], digits) for name, digits in zip(PROTOCOLS, (2, 4), strict=True)]
        window = 'none' if each.window is None else str(each.window)
        samples = '' if each.samples is None else f'{each.samples:,}'
        rows.append([*names, *values, window, str(each.seeds), samples, f'[file]({each.source})'])
    header = ['model', 'row or run', 'test set', 'pictures', 'psnr_y', 'ssim_y', 'statistics window', 'seeds']
    return text + _sortable(_table([*header, 'training, samples', 'figures'], rows), 'scores')


def _plain(value: object) -> str:
    """Return drawn parameters as ``name 0.2, other [1, 2]``."""
    if isinstance(value, dict):
        return ', '.join(f'{name} {_plain(each)}' for name, each in value.items())
    if isinstance(value, list):
        return '[' + ', '.join(_plain(each) for each in value) + ']'
    return str(value)


def gallery() -> str:
    """Return the sections of docs/gallery.md, one per degradation."""
    content = json.loads((RESULTS / 'gallery.json').read_text())
    models = list(content['models'])
    parts = []
    for row in content['rows']:
        name, before = row['name'], row['scores']['input']
        about = row['about'] or f'class without a recipe name: `dict(type={name!r})`'
        parts.append(f'## {name}\n\n{about[0].upper()}{about[1:]}.\n')
        parts.append(f'![{name}: damaged, then restored by {", ".join(models)}](images/gallery/{name}.webp)\n')
        gains = ', '.join(f'`{model}` {row["scores"][model]["psnr_y"]:.2f}' for model in models)
        config = ',\n     '.join(f'{key}={value!r}' for key, value in row['config'].items())
        parts.append(f'psnr_y {before["psnr_y"]:.2f} → {gains}; ssim_y {before["ssim_y"]:.3f} → ')
        parts[-1] += ', '.join(f'{row["scores"][model]["ssim_y"]:.3f}' for model in models) + '.\n'
        parts.append(f'Drawn here: {_plain(row["parameters"])}.\n')
        parts.append(f'```text\ndict({config})\n```\n')
    return '\n'.join(parts)


@dataclass(frozen=True)
class Message:
    """A message of an error in the source: its class, its text with `…` for what varies, and its file."""

    kind: str
    text: str
    file: str


def _text(node: ast.expr) -> str | None:
    """Return a literal message with `…` for each inserted value; None if it is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return ''.join(str(part.value) if isinstance(part, ast.Constant) else '…' for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is None and right is None else (left or '…') + (right or '…')
    return None


def kinds() -> list[type[errors.RestoreboxError]]:
    """Return the classes of errors in the order in which restorebox/errors.py defines them."""
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    return [each for each in classes if issubclass(each, errors.RestoreboxError)]


def messages() -> Iterator[Message]:
    """Yield each literal message of the package's errors, in the order of files and lines."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob('*.py'))}
    names = {kind.__name__: kind.__name__ for kind in kinds()}  # class -> the class of its table
    for tree in trees.values():  # classes derived from them elsewhere
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name not in names:
                known = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in names]
                names |= {node.name: names[known[0]]} if known else {}
    for path, tree in trees.items():
        where = str(path.relative_to(PACKAGE.parent))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name in names:  # one that writes its message itself
                for inner in ast.walk(node):
                    text = _text(inner.value) if isinstance(inner, ast.Assign) else None
                    if text is not None and ast.unparse(inner.targets[0]) == 'self.message':
                        yield Message(names[node.name], text, where)
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.func, ast.Name):
                continue
            text = _text(node.args[0])
            if node.func.id == 'missing_package' and len(node.args) > 1:
                extra = _text(node.args[1])
                text = f"{text or '…'} needs the package …, which is not here: pip install 'restorebox[{extra}]'"
                yield Message('MissingPackageError', text, where)
            elif node.func.id in names and text is not None and re.search(r'\w', text):
                yield Message(names[node.func.id], text, where)


def message_tables() -> str:
    """Return the table of docs/messages.md."""
    found = sorted({(each.kind, each.text, each.file) for each in messages()}, key=lambda m: (m[0], m[2], m[1]))
    rows = [[f'`` {text} ``', kind.removesuffix('Error'), f'`{file}`'] for kind, text, file in found]
    return _sortable(_table(['message', 'kind', 'file'], rows), 'messages')


def kind_table() -> str:
    """Return a table of the classes of errors and their meaning, from their docstrings."""
    rows = [[kind.__name__.removesuffix('Error'), (kind.__doc__ or '').split('\n')[0]] for kind in kinds()]
    return _table(['kind', 'meaning'], rows)


def versions() -> str:
    """Return two tables: versions 1 and 2 of the included model on the pairs and undegraded images of their gate."""
    stored = [json.loads((RESULTS / f'{name}.json').read_text()) for name in ('weather_gated', 'weather2_gated')]
    old, new = (each['pictures'] for each in stored)
    bounds = {line['what']: line['bound'].removeprefix('>= ') for line in stored[1]['lines']}
    pairs, undegraded = [], []
    for name, pictures in new.items():
        values = list(pictures.values())
        if isinstance(values[0], list):  # scores of input and output
            given, second = (mean(pair[i] for pair in values) for i in (0, 1))
            first = mean(old[name][picture][1] for picture in pictures)
            cells = [f'{given:.2f}', f'{first:.2f}', f'{second:.2f}', f'{second - first:+.2f}']
            pairs.append([name, str(len(values)), *cells])
        elif least := bounds.get(f'{name}: least'):  # in dB; differences in levels have no such bound
            both = [[each[name][picture] for picture in pictures] for each in (old, new)]
            equal = ' → '.join(str(sum(value > PERFECT for value in each)) for each in both)
            changed = ' → '.join(str(sum(value < float(least) for value in each)) for each in both)
            undegraded.append([name, str(len(values)), equal, f'{changed} ({least} dB)'])
    return '\n\n'.join(
        (
            _table(['set', 'images', 'input', 'version 1', 'version 2', 'difference'], pairs),
            _table(['undegraded images', 'number', 'returned unchanged', 'below the bound'], undegraded),
        )
    )


def write_parts(folder: Path = DOCS / 'generated') -> None:
    """Write all parts, each as a Markdown file.

    Args:
        folder: created if it is missing.
    """
    folder.mkdir(exist_ok=True)
    parts = {'models': zoo, 'gallery': gallery, 'messages': message_tables, 'kinds': kind_table, 'versions': versions}
    for name, make in parts.items():
        (folder / f'{name}.md').write_text(make() + '\n', encoding='utf-8')
