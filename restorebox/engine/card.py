"""Model card of a published file: front matter for the Hugging Face Hub, and what its users should know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from restorebox.engine.plugins import plugin_notes

# identifiers of the Hub; other licences are 'other' with a name of their own
LICENCES = (
    'afl-3.0',
    'agpl-3.0',
    'apache-2.0',
    'bsd-2-clause',
    'bsd-3-clause',
    'cc-by-4.0',
    'cc-by-nc-4.0',
    'cc-by-nc-nd-4.0',
    'cc-by-nc-sa-4.0',
    'cc-by-sa-4.0',
    'cc0-1.0',
    'gpl-3.0',
    'lgpl-3.0',
    'mit',
    'mpl-2.0',
)


def model_card(file: Path, meta: Mapping[str, Any], count: int, digest: str, name: str) -> str:
    """Return the text of the card, Markdown with YAML front matter.

    Args:
        file: the published file.
        meta: its metadata, decoded.
        count: number of its weights.
        digest: its SHA-256.
        name: where it will be: ``hf://OWNER/NAME/FILE@REVISION``.
    """
    licence = ' '.join(str(meta['licence']).split())
    slug = re.sub('[^a-z0-9.]+', '-', licence.lower()).strip('-')[:80]
    front: dict[str, Any] = {'license': slug if slug in LICENCES else 'other'}
    if slug not in LICENCES:
        front['license_name'] = slug or 'see-below'
    front |= {'library_name': 'restorebox', 'pipeline_tag': 'image-to-image', 'tags': ['image-restoration']}
    rows = {'licence': licence, 'limits': meta['limits'], 'weights': f'{count:,}, {meta["average"]}'}
    mean = (meta.get('scores') or {}).get('mean')
    if isinstance(mean, dict):
        numbers = {key: value for key, value in mean.items() if isinstance(value, (int, float))}
        rows['scores'] = ', '.join(f'{key} {value:.4g}' for key, value in numbers.items())
    compute = meta.get('compute') or {}
    if 'samples' in compute:
        rows['training'] = f'{compute["samples"]:,} samples'
    if notes := plugin_notes(meta.get('plugins')):
        rows['plugins'] = ', '.join(notes)
    rows |= {'written by': f'restorebox {meta["restorebox_version"]}', 'sha256': f'`{digest}`'}
    table = '\n'.join(f'| {key} | {_cell(value)} |' for key, value in rows.items())
    matter = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return (
        f'---\n{matter}---\n\n# {file.stem}\n\nWeights for image restoration with restorebox.\n\n| | |\n|---|---|\n'
        f"{table}\n\n```sh\npip install 'restorebox[hub]'\n"
        f"restorebox restore photo.jpg --model '{name}#sha256={digest}'\n```\n"
    )


def _cell(value: object) -> str:
    return ' '.join(str(value).split()).replace('|', '\\|')
