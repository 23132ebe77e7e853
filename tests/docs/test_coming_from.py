"""docs/coming_from.md has the tables of restorebox/aliases.py, and names of ours that exist."""

import re

import pytest

from restorebox import registry as r
from restorebox.aliases import ALIASES_AT, BASICSR_KEYS, COMPONENT_KEYS, OPENMMLAB_KEYS
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from tests.conftest import REPO

PAGE = (REPO / 'docs' / 'coming_from.md').read_text()
TABLES = (
    'Names of components',
    'Keys of MMEngine and MMagic',
    'Keys of a BasicSR options file',
    'Keys of configs from before MMEngine',
)
# names in code outside of these tables that no registry has: ours, and other people's
OURS = {'BasePictures'}
FOREIGN = {'BaseDataset', 'BaseTransform', 'ClassBalancedDataset', 'ConcatDataset', 'Dataset', 'LoadImageFromFile'}
FOREIGN |= {'RandomFlip', 'RepeatDataset', 'T_max'}

REPLACED = set(ALIASES_AT['train_cfg']) | set(ALIASES_AT['val_cfg']) | set(ALIASES_AT['test_cfg'])
REPLACED |= {'CheckpointHook', 'EMAHook', 'Evaluator', 'RRDBNet'}


def rows(heading: str) -> list[str]:
    """The rows of the table below a heading."""
    section = PAGE.split(f'\n## {heading}\n')[1].split('\n## ')[0]
    return [line for line in section.splitlines() if line.startswith('| `')]


def key_row(there: str, here: str) -> str:
    """A row of a table of keys: ours first, then the remark, code in it as code."""
    if here.startswith('('):
        return f'| `{there}` | {here.strip("()")} |'
    key, _, remark = here.partition(' ')
    remark = re.sub(r'\((dict\(.*\))\)$', r'`\1`', remark)
    return f'| `{there}` | `{key}`{f" {remark}" if remark else ""} |'


def test_the_table_of_names_is_that_of_the_errors():
    expected = [
        f'| `{name}` | `{place}` | ' + re.sub(r"'(\w+)'", r'`\1`', ours) + ' |'
        for place, names in ALIASES_AT.items()
        for name, ours in names.items()
    ]
    assert rows(TABLES[0]) == expected


@pytest.mark.parametrize(
    ('heading', 'keys'),
    [(TABLES[1], COMPONENT_KEYS), (TABLES[2], BASICSR_KEYS), (TABLES[3], OPENMMLAB_KEYS)],
)
def test_the_tables_of_keys_are_those_of_the_errors(heading, keys):
    assert rows(heading) == [key_row(there, here) for there, here in keys.items()]


def test_names_in_the_text_exist():
    """A word in code that is written like a class is ours, MMEngine's, or known to be another's."""
    tables = [line for heading in TABLES for line in rows(heading)]
    text = re.sub(r'```.*?```', '', PAGE, flags=re.DOTALL)
    text = '\n'.join(line for line in text.splitlines() if line not in tables)
    known = {name for each in vars(r).values() if isinstance(each, r.Registry) for name in each.known()}
    named = set(re.findall(r"[`'](?:type=')?([A-Z]\w*[a-z]\w*)", text))
    assert {'RestorationCheckpointHook', 'NAFUNet'} <= named
    assert named - known - REPLACED == OURS | FOREIGN


def test_the_message_on_the_page_is_that_of_check_config(tmp_path):
    config = tmp_path / 'c.py'
    base = configs_dir() / 'unet' / 'unet5_paired.py'
    config.write_text(f"_base_ = '{base}'\nmodel = dict(_delete_=True, type='SRModel')\n")
    with pytest.raises(ConfigError) as caught:
        check_config(str(config))
    assert str(caught.value) in PAGE
