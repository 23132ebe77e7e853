"""Reading --cfg-options."""

import argparse

import pytest

from restorebox.cli.common import options_action


def parse(*argv):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=options_action(), default={})
    return parser.parse_args(['--cfg-options', *argv]).cfg_options


def test_values_are_typed_and_merged():
    assert parse('a.b=1', 'c=x', 'd=[1,2]', 'e=None', 'f=1e-4') == {
        'a.b': 1,
        'c': 'x',
        'd': [1, 2],
        'e': None,
        'f': 1e-4,
    }
    assert parse('d=[[1,2],[3,4]]') == {'d': [[1, 2], [3, 4]]}


@pytest.mark.parametrize('value', ['k=(1,2),(3,4)', 'no_equals_sign'])
def test_unreadable_options_are_one_line(value, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(value)
    assert caught.value.code == 2
    assert value in capsys.readouterr().err
