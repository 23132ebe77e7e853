"""restore with videos among the pictures, as a user types it."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from restorebox import RestoreInferencer
from restorebox.cli.main import main
from restorebox.inference.output_log import OUTPUTS
from tests.factories import publish_small
from tests.inference.small_clips import make_clip, woven
from tests.inference.test_video import facts, write_clip


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


def test_a_folder_with_clips(published, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / 'home'
    (home / 'sub').mkdir(parents=True)
    Image.new('RGB', (9, 7), 'red').save(home / 'a.png')
    clip = write_clip(home / 'sub' / 'b.mp4', 6)
    (home / 'bad.mov').write_bytes(clip.read_bytes()[:3000])
    words = ['restore', 'home', '--model', str(published), '--device', 'cpu']
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 3
    printed = capsys.readouterr()
    assert '2 restored into restored, 1 could not be restored' in printed.out
    assert 'not restored: home/bad.mov: is cut: it ends at byte 3000' in printed.err
    made = sorted(str(p.relative_to(tmp_path / 'restored')) for p in (tmp_path / 'restored').rglob('*') if p.is_file())
    assert made == [OUTPUTS, 'a.png', 'sub/b.mp4']
    assert len(facts(tmp_path / 'restored/sub/b.mp4')[2]) == 6
    with pytest.raises(SystemExit):
        main(words)
    assert '0 restored into restored, 2 were there already, 1 could not' in capsys.readouterr().out
    frames = RestoreInferencer(published, device='cpu')(clip)
    assert next(frames).shape == (48, 64, 3)
    assert len(list(frames)) == 5


def test_changes_of_a_clip_are_reported(published, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / 'a.mts', 4, form='mpegts', interlaced=True, encoder={'x264-params': 'tff=1'}, picture=woven)
    main(['restore', 'a.mts', '--model', str(published), '--device', 'cpu', '--report', 'r.jsonl'])
    said = capsys.readouterr().err.splitlines()
    assert said.count('note: a.mts: 4 of 4 frames were interlaced; they are deinterlaced') == 1
    assert '4 of 4 frames were interlaced; they are deinterlaced' in json.loads(Path('r.jsonl').read_text())['notes']
    assert (tmp_path / 'restored' / 'a.mts.mkv').is_file()


def test_without_pyav_it_is_a_line_and_nothing_is_made(published, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.mp4').touch()
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(SystemExit):
        main(['restore', 'a.mp4', '--model', str(published), '--device', 'cpu'])
    assert capsys.readouterr().err.strip() == (
        "error: video needs the package av, which is not here: pip install 'restorebox[video]'"
    )
    assert not (tmp_path / 'restored').exists()


def restored(name, published, *words):
    """Restore a clip with a report; returns its line."""
    main(['restore', name, '--model', str(published), '--device', 'cpu', '--report', 'r.jsonl', *words])
    return json.loads(Path('r.jsonl').read_text().splitlines()[-1])


def test_flicker_and_findings_of_a_clip(published, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / 'a.mp4', 4)
    line = restored('a.mp4', published)
    printed = capsys.readouterr()
    (flicker,) = (note for note in line['notes'] if note.startswith('flicker (warping error'))
    assert f'note: a.mp4: {flicker}\n' in printed.err
    assert line['found']
    assert 'a.mp4: ' + ', '.join(f'{kind} {value:.1f}' for kind, value in line['found'].items()) in printed.out
    filtered = (tmp_path / 'restored/a.mp4').read_bytes()

    assert restored('a.mp4', published)['notes'] == line['notes'], 'it is there already'
    capsys.readouterr()
    assert restored('a.mp4', published, '--temporal', 'off')['notes'] == []
    assert '1 of these in place of others' in capsys.readouterr().out
    assert (tmp_path / 'restored/a.mp4').read_bytes() != filtered


def test_pictures_do_not_depend_on_the_temporal_filter(published, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new('RGB', (9, 7), 'red').save('a.png')
    restored('a.png', published)
    restored('a.png', published, '--temporal', 'off')
    assert '1 were there already' in capsys.readouterr().out


def test_only_if_damaged_copies_a_clip_in_which_nothing_is_found(published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / 'a.avi', 3, codec='mpeg4')
    line = restored('a.avi', published, '--only-if-damaged')
    assert (line['status'], line['output']) == ('restored', 'restored/a.avi.mkv')
    monkeypatch.setattr('restorebox.inference.tiles.Tiler.__call__', lambda self, frame, progress=None: frame.copy())
    line = restored('a.avi', published, '--only-if-damaged', '--overwrite', '--out', 'other')
    assert (line['status'], line['output'], line['found']) == ('copied', 'other/a.avi', {})
    assert line['notes'] == ['nothing was found: copied as a.avi, in its own format']
    assert Path('other/a.avi').read_bytes() == Path('a.avi').read_bytes()
    assert sorted(path.name for path in Path('other').iterdir() if path.suffix in ('.avi', '.mkv')) == ['a.avi']


def test_a_clip_with_little_damage_is_restored_once_and_one_without_becomes_a_copy(
    published, tmp_path, monkeypatch, capsys
):
    """Damage in one frame of four: the median over the frames is no finding, and yet the clip is no copy."""
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / 'a.mkv', 4)
    frames = iter(range(10**6))

    def darkens_some(self, frame, progress=None):
        return frame // 2 if next(frames) % 4 == 1 else frame.copy()

    monkeypatch.setattr('restorebox.inference.tiles.Tiler.__call__', darkens_some)
    line = restored('a.mkv', published, '--only-if-damaged')
    assert (line['status'], line['found']) == ('restored', {})
    restored('a.mkv', published, '--only-if-damaged')
    assert '1 were there already' in capsys.readouterr().out
    monkeypatch.setattr('restorebox.inference.tiles.Tiler.__call__', lambda self, frame, progress=None: frame.copy())
    assert restored('a.mkv', published, '--out', 'plain')['status'] == 'restored'
    assert restored('a.mkv', published, '--out', 'plain', '--only-if-damaged')['status'] == 'copied'
    assert Path('plain/a.mkv').read_bytes() == Path('a.mkv').read_bytes()
