"""restore: strength, the report of damage, and --only-if-damaged."""

import numpy as np
import pytest
import torch
from PIL import Image

from restorebox.cli.main import main
from restorebox.errors import DataError
from restorebox.inference.inputs import plan_jobs
from restorebox.inference.output_log import OUTPUTS
from restorebox.restorers.base import BaseRestorer
from tests.factories import publish_small


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.fixture
def darkens_bright_pictures(monkeypatch):
    """A network that subtracts 51 of 255 where a picture is brighter than 127.5; its range is [-1, 1]."""
    monkeypatch.setattr(BaseRestorer, 'infer', lambda self, x, *_: {'pred': torch.where(x > 0, x - 0.4, x)})


@pytest.fixture
def folder(tmp_path):
    """Four dark pictures of which a file is worth keeping, and a bright one."""
    home = tmp_path / 'in'
    home.mkdir()
    dark = np.random.default_rng(0).integers(0, 100, (64, 80, 3), dtype=np.uint8)
    Image.fromarray(dark).save(home / 'dark.jpg', quality=80)
    Image.fromarray(dark).convert('P').save(home / 'few.gif')
    Image.fromarray(dark).save(home / 'inside.jpg', format='PNG')
    Image.fromarray(dark // 2).save(home / 'darker.png')
    Image.fromarray(dark + 150).save(home / 'bright.png')
    return home


def restore(folder, published, out, *options):
    main(['restore', str(folder), '--model', str(published), '--device', 'cpu', '--out', str(out), *options])


def test_what_is_found_is_printed_for_each_picture(folder, published, darkens_bright_pictures, tmp_path, capsys):
    restore(folder, published, tmp_path / 'out')
    lines = capsys.readouterr().out.splitlines()
    assert f'{folder}/dark.jpg: nothing' in lines
    assert f'{folder}/bright.png: veil 51.0' in lines
    assert lines[-1] == f'5 restored into {tmp_path}/out'


def test_undamaged_pictures_are_copied(folder, published, darkens_bright_pictures, tmp_path, capsys):
    out = tmp_path / 'out'
    restore(folder, published, out, '--only-if-damaged')
    printed = capsys.readouterr()
    assert f'1 restored into {out}, 4 copied unchanged' in printed.out
    for name in ('dark.jpg', 'few.gif', 'inside.jpg', 'darker.png'):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    bright = np.asarray(Image.open(folder / 'bright.png')).astype(int)
    assert np.array_equal(bright - np.asarray(Image.open(out / 'bright.png')), np.full(bright.shape, 51))
    assert f'{folder}/few.gif: nothing was found: copied as few.gif, in its own format' in printed.err
    assert sorted(path.name for path in out.iterdir() if path.name != OUTPUTS) == sorted(
        path.name for path in folder.iterdir()
    )

    # the same command again finds everything there
    restore(folder, published, out, '--only-if-damaged')
    assert f'0 restored into {out}, 5 were there already' in capsys.readouterr().out


def test_a_picture_has_one_output_though_its_name_changes_between_runs(
    folder, published, darkens_bright_pictures, tmp_path, capsys
):
    """few.gif is copied, then written as few.gif.png, by another model or without the option."""
    out = tmp_path / 'out'
    (out / 'sub').mkdir(parents=True)
    (out / 'few.gif.webp').write_bytes(b'of somebody else')

    def names():
        return {path.name for path in out.iterdir() if 'few' in path.name}

    restore(folder, published, out, '--only-if-damaged')
    assert names() == {'few.gif', 'few.gif.webp'}
    restore(folder, published, out)
    assert names() == {'few.gif.png', 'few.gif.webp'}
    restore(folder, published, out, '--only-if-damaged', '--strength', '0.5')
    assert names() == {'few.gif', 'few.gif.webp'}
    restore(folder, published, out, '--format', 'tiff')
    restore(folder, published, out)  # two formats, of which no output is a copy
    assert names() == {'few.tif', 'few.gif.png', 'few.gif.webp'}
    restore(folder, published, out, '--only-if-damaged', '--strength', '0.5')
    capsys.readouterr()
    restore(folder, published, out, '--only-if-damaged', '--strength', '0.5')
    assert '5 were there already' in capsys.readouterr().out


def test_a_copy_replaces_what_was_written_of_a_picture_in_which_nothing_was_found(
    folder, published, darkens_bright_pictures, tmp_path, capsys
):
    out = tmp_path / 'out'
    restore(folder, published, out)
    bright = (out / 'bright.png').stat().st_mtime_ns
    restore(folder, published, out, '--only-if-damaged')
    assert (
        f'0 restored into {out}, 4 copied unchanged, 4 of these in place of others, 1 were' in capsys.readouterr().out
    )
    assert (out / 'dark.jpg').read_bytes() == (folder / 'dark.jpg').read_bytes()
    assert (out / 'bright.png').stat().st_mtime_ns == bright


def test_overwriting_after_a_refusal_leaves_one_output_and_no_refusal(
    folder, published, darkens_bright_pictures, tmp_path, capsys
):
    """A copy of a picture, few.gif, and then another picture of its name that is restored, few.gif.png."""
    out, report = tmp_path / 'out', tmp_path / 'report.jsonl'

    def names():
        return {path.name for path in out.iterdir() if 'few' in path.name}

    def again(*options):
        words = map(str, ('restore', folder, '--model', published, '--out', out, '--device', 'cpu', *options))
        try:
            main([*words, '--only-if-damaged', '--report', str(report)])
        except SystemExit as end:
            return end.code
        return 0

    assert again() == 0
    assert names() == {'few.gif'}
    Image.fromarray(np.full((30, 40, 3), 240, np.uint8)).quantize(4).save(folder / 'few.gif')
    assert again() == 3
    assert again('--overwrite') == 0
    assert names() == {'few.gif.png'}
    assert again() == 0
    assert '"failed"' not in report.read_text()


def test_without_the_option_all_are_written_anew(folder, published, darkens_bright_pictures, tmp_path, capsys):
    out = tmp_path / 'out'
    restore(folder, published, out)
    assert 'copied' not in capsys.readouterr().out
    assert (out / 'few.gif.png').is_file()
    assert (out / 'dark.jpg').read_bytes() != (folder / 'dark.jpg').read_bytes()


def test_strength_zero_keeps_the_pixels_and_finds_nothing_out(folder, published, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(BaseRestorer, 'infer', lambda *_: pytest.fail('the network ran'))
    out = tmp_path / 'out'
    restore(folder, published, out, '--strength', '0')
    assert ': nothing' not in capsys.readouterr().out
    for name in ('darker.png', 'bright.png'):
        assert np.array_equal(np.asarray(Image.open(out / name)), np.asarray(Image.open(folder / name)))
    with pytest.raises(SystemExit):
        restore(folder, published, tmp_path / 'none', '--strength', '0', '--only-if-damaged')
    assert capsys.readouterr().err.splitlines() == [
        'error: only-if-damaged needs a strength above 0: at 0 the network does not run and finds nothing'
    ]


def test_the_strength_scales_the_change_and_not_what_is_found(
    folder, published, darkens_bright_pictures, tmp_path, capsys
):
    out = tmp_path / 'out'
    restore(folder / 'bright.png', published, out, '--strength', '0.4')
    bright = np.asarray(Image.open(folder / 'bright.png')).astype(float)
    change = bright - np.asarray(Image.open(out / 'bright.png'))
    assert abs(change - 0.4 * 51).max() <= 0.5
    printed = capsys.readouterr().out
    strength = float(printed.split('bright.png: veil ')[1].split()[0])
    assert strength == pytest.approx(51, abs=1.3)  # a rounding error of half a level, divided by 0.4


def test_a_copy_never_takes_the_place_of_another_picture(tmp_path):
    array = np.zeros((4, 4, 3), np.uint8)
    for name, kind in (('one', 'PNG'), ('two', 'JPEG')):
        (tmp_path / name).mkdir()
        Image.fromarray(array).save(tmp_path / name / 'a.jpg', format=kind)
    Image.fromarray(array).convert('LA').save(tmp_path / 'one' / 'a.jpg', format='PNG')
    sources = [tmp_path / 'one', tmp_path / 'two']
    assert [job.target.name for job in plan_jobs(sources, tmp_path / 'out')] == ['a.jpg.png', 'a.jpg']
    with pytest.raises(DataError, match=r'would both become .*a\.jpg; restore them into two folders'):
        plan_jobs(sources, tmp_path / 'out', copies=True)
