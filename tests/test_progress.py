"""Progress line of a long run."""

from restorebox import progress
from restorebox.progress import Progress


def test_in_a_log_a_line_comes_now_and_then(monkeypatch, capsys):
    now = iter([0, 4, 11, 12, 22])
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(now))
    with Progress(8, 'restore') as shown:
        for _ in range(4):
            shown.advance()
    assert capsys.readouterr().err.splitlines() == [
        'restore: 2 of 8, 0.2 a second, 33 s left',
        'restore: 4 of 8, 0.2 a second, 22 s left',
    ]
