"""Plugins whose components a model uses: named in a published file, and looked for when it is read."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

from restorebox.registry import PLUGIN_GROUP, load_plugins
from restorebox.untrusted import MODEL

OWN = ('restorebox', 'torch', 'mmengine')  # installed with every restorebox
LISTED = 5  # maximum number of plugins in a message
LETTERS = 60  # maximum length of a name or version in a message


def used_plugins(model: dict) -> list[dict[str, str | None]]:
    """Return the packages that the components of a model's config are from, besides restorebox.

    Args:
        model: checked config of a restorer, see :func:`restorebox.untrusted.checked_config`.

    Returns:
        ``name``, the import name, and ``version`` of its distribution; None for a module that is no distribution, such
        as one of ``custom_imports`` beside a config.
    """
    kinds: set[str] = set()
    waiting: list[Any] = [model]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict) and isinstance(node.get('type'), str):
            kinds.add(node['type'])
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    found = {each.get(kind).__module__.split('.')[0] for each in MODEL for kind in kinds & {*each.own_names()}}
    return [dict(name=top, version=_version(top)) for top in sorted(found - {*OWN})]


def _version(top: str) -> str | None:
    for point in entry_points(group=PLUGIN_GROUP):
        if point.value.split(':')[0].split('.')[0] == top and point.dist is not None:
            return point.dist.version
    try:
        return version(top)
    except PackageNotFoundError:
        return None


def plugin_notes(plugins: Any) -> list[str]:
    """Return a note for each plugin that a file names: its name, version, and whether another one is here.

    Names and versions are text of an untrusted file: nothing is imported or installed by them.

    Args:
        plugins: the file's list, see :func:`used_plugins`; entries of other types are left out.
    """
    loaded = {module.split(':')[0].split('.')[0] for module in load_plugins().values()}
    notes = []
    for each in plugins if isinstance(plugins, list) else ():
        name, number = (each.get('name'), each.get('version')) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or not name.isidentifier():
            continue
        text = f'{name[:LETTERS]} {str(number)[:LETTERS]}' if isinstance(number, str) else name[:LETTERS]
        if name not in loaded:
            notes.append(f'{text} (not installed)')
        elif (here := _version(name)) != number:
            notes.append(f'{text} (here: {here or "without a version"})')
        else:
            notes.append(text)
    return notes[:LISTED]
