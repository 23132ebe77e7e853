"""YAML files: values, and where an invalid one is invalid."""

import pytest

from restorebox.errors import ConfigError
from restorebox.yaml_files import read_yaml


def test_plain_values_and_anchors(tmp_path):
    file = tmp_path / 'a.yml'
    file.write_text('a: &x {b: 1e-3, c: [1, true, null]}\nd: *x\n')
    assert read_yaml(file) == {'a': {'b': '1e-3', 'c': [1, True, None]}, 'd': {'b': '1e-3', 'c': [1, True, None]}}


@pytest.mark.parametrize(
    ('content', 'where'),
    [
        (b'a: 1\nb: {', 'line 2'),
        (b'a: 1\nb: [\nc: 2\n', 'line 3'),
        (b'a: !!python/object/apply:os.getcwd []\n', 'line 1'),
        (b'a: \xff\n', 'a.yml'),
        (b'a: 2001-99-99\n', 'a.yml'),
        (b'a: !!int ""\n', 'a.yml'),
        (b'a: !!timestamp x\n', 'a.yml'),
        (b'a: ' + b'9' * 5000 + b'\n', 'a.yml'),
    ],
)
def test_invalid_files_are_named_with_the_line(content, where, tmp_path):
    file = tmp_path / 'a.yml'
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f'{where}.*: no valid YAML'):
        read_yaml(file)
