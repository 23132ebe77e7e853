"""Reading of YAML files: metafiles, rows and ledgers of claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from restorebox.errors import ConfigError

# libyaml parses ten times as fast; PyYAML's wheels contain it, builds from source may not
LOADER: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file of plain values (no Python objects).

    Raises:
        ConfigError: the file is no valid YAML; the message has the file and the line.
        OSError: the file can't be read.
    """
    try:
        text = file.read_text(encoding='utf-8')
        return yaml.load(text, LOADER)
    # not only YAMLError: the loader lets other exceptions pass at values such as 2001-99-99 and at deep nesting
    except (yaml.YAMLError, ValueError, IndexError, AttributeError, RecursionError) as error:
        mark = getattr(error, 'problem_mark', None)
        # at the end of the file libyaml's mark is on the line after the last
        line = f', line {min(mark.line + 1, len(text.splitlines()))}' if mark else ''
        raise ConfigError(f'{file}{line}: no valid YAML: {getattr(error, "problem", error)}') from error
