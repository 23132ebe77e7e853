"""Under which names a page is served."""

import pytest

from restorebox.web.hosts import HostNames


@pytest.mark.parametrize(
    ('host', 'local', 'served', 'refused'),
    [
        ('127.0.0.1', '127.0.0.1', ['127.0.0.1:7860', 'localhost:7860', 'LOCALHOST:7860', '[::1]:7860'],
         ['127.0.0.1', 'localhost', 'localhost:80', '127.0.0.1:786', 'evil.example:7860', '192.168.1.5:7860', '']),
        ('::1', '::1', ['[::1]:7860', 'localhost:7860'], ['::1:7860', '[::2]:7860']),
        ('0.0.0.0', '192.168.1.5', ['192.168.1.5:7860', 'box:7860'],
         ['localhost:7860', '0.0.0.0:7860', '192.168.1.6:7860', 'evil.example:7860', ':7860']),
        ('::', '::ffff:192.168.1.5', ['192.168.1.5:7860'], ['[::]:7860', '127.0.0.1:7860']),
        ('0.0.0.0', '127.0.0.1', ['localhost:7860'], ['192.168.1.5:7860']),
        ('box.lan', '192.168.1.5', ['box.lan:7860', 'BOX.lan:7860', '192.168.1.5:7860'], ['box.lan', 'lan:7860']),
        ('127.0.0.1', '127.0.0.1', ['restore.example.org', 'other:8000'],
         ['restore.example.org:7860', 'other', 'a.restore.example.org', 'restore.example.org.']),
    ],
)  # fmt: skip
def test_hosts(host, local, served, refused):
    names = HostNames(host, 7860, 'box', ('restore.example.org', 'other:8000'))
    assert [each for each in served if not names.serves(each, local)] == []
    assert [each for each in refused if names.serves(each, local)] == []


def test_port_80_is_left_out():
    assert HostNames('127.0.0.1', 80).serves('localhost', '127.0.0.1')
