"""restore: what its options do, and its exit codes."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from PIL import Image

import restorebox
from restorebox.cli.main import main
from restorebox.cli.restore_options import HELP, KINDS
from restorebox.datasets.formats import suffix_kind
from restorebox.inference.output_log import OUTPUTS
from tests.factories import publish_small
from tests.processes import environment

SCHEMA = json.loads((Path(restorebox.__file__).parent / 'schemas/report-1.json').read_text())
NAMES = ['a.png', 'b.jpg', 'sub/c.png', 'sub/deep/d.png']


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Two models of one architecture."""
    return [publish_small(tmp_path_factory.mktemp('published'), seed=seed) for seed in (0, 1)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with four pictures, which is the current one."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(tmp_path / 'in' / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def restore(model, *words):
    """The exit code of restoring."""
    try:
        main(['restore', *map(str, words), '--model', str(model), '--device', 'cpu', '--precision', 'fp32'])
    except SystemExit as end:
        return end.code
    return 0


def names(folder='restored'):
    found = (path.relative_to(folder).as_posix() for path in Path(folder).rglob('*') if not path.is_dir())
    return sorted(name for name in found if name != OUTPUTS)


def contents(folder='restored'):
    return {name: Path(folder, name).read_bytes() for name in names(folder)}


def report_of(path):
    """The lines of a report by source, each of them valid."""
    lines = [json.loads(line) for line in Path(path).read_bytes().split(b'\n')[:-1]]
    for line in lines:
        jsonschema.validate(line, SCHEMA)
    assert len({line['source'] for line in lines}) == len(lines)
    return {line['source']: line for line in lines}


def test_exit_codes(home, models, capsys):
    assert restore(models[0], 'in') == 0
    assert restore(models[0], 'nowhere') == 1
    assert capsys.readouterr().err == 'error: nowhere: no such file; nothing was restored\n'
    for words in (
        ['in', '--quality', '101'],
        ['in', '--colour', 'red'],
        [],
        ['in', '--dry-run', '--report', 'r.jsonl'],
        ['in', '--workers', '2'],
        ['in', '--verbose'],
    ):
        assert restore(models[0], *words) == 2
    (home / 'in' / 'bad.png').write_bytes(b'no picture')
    assert restore(models[0], 'in') == 3


def test_a_gpu_of_a_number_is_refused_for_ray_which_divides_them(home, capsys):
    with pytest.raises(SystemExit) as end:
        main(['restore', 'in', '--engine', 'ray', '--device', 'cuda:1'])
    assert end.value.code == 2
    assert 'give the kind alone, such as cuda' in capsys.readouterr().err


def test_help_is_read_on_one_screen():
    command = [sys.executable, '-m', 'restorebox', 'restore', '--help']
    text = subprocess.run(command, env=environment(COLUMNS='80'), capture_output=True, text=True, check=True).stdout
    assert len(text.splitlines()) <= 35
    assert max(map(len, text.splitlines())) <= 80
    assert all(f'--{name.replace("_", "-")} ' in text for name in HELP if name != 'source')


def test_report(home, models):
    (home / 'in' / 'bad.png').write_bytes(b'no picture')
    assert restore(models[0], 'in', '--report', 'r.jsonl') == 3
    found = report_of('r.jsonl')
    assert sorted(found) == sorted(f'in/{name}' for name in [*NAMES, 'bad.png'])
    digest = hashlib.sha256(models[0].read_bytes()).hexdigest()
    for source, line in found.items():
        assert line['output'] == source.replace('in/', 'restored/')
        assert (line['model'], line['sha256']) == (str(models[0]), digest)
        assert line['status'] == ('failed' if 'bad' in source else 'restored')
        if line['status'] == 'restored':
            assert line['seconds'] > 0
            assert line['found'] is not None
    assert found['in/bad.png']['error'].startswith('in/bad.png: ')

    # a file that can be read now gets its line, the others keep theirs
    Image.new('RGB', (9, 9)).save(home / 'in' / 'bad.png')
    assert restore(models[0], 'in', '--report', 'r.jsonl') == 0
    again = report_of('r.jsonl')
    assert again.pop('in/bad.png')['status'] == 'restored'
    assert again == {source: line for source, line in found.items() if 'bad' not in source}

    # another report lists what is there
    assert restore(models[0], 'in', '--report', 'other.jsonl') == 0
    assert {(line['status'], line['sha256']) for line in report_of('other.jsonl').values()} == {('existing', digest)}


def test_a_report_that_cannot_be_written_ends_it_before_the_first_picture(home, models, capsys):
    Path('notes.txt').write_text('mine\n')
    for name in ('notes.txt', 'in'):
        assert restore(models[0], 'in', '--report', name) == 1
        assert capsys.readouterr().err.startswith(f'error: report {name}: ')
    assert names() == []
    assert Path('notes.txt').read_text() == 'mine\n'


def test_another_model_is_not_taken_as_done(home, models, capsys):
    assert restore(models[0], 'in') == 0
    first = contents()
    assert restore(models[1], 'in') == 0
    assert '4 restored into restored, 4 of these in place of others' in capsys.readouterr().out
    second = contents()
    assert all(second[name] != first[name] for name in NAMES)
    assert restore(models[1], 'in') == 0
    assert '0 restored into restored, 4 were there already' in capsys.readouterr().out
    # other settings of the same model are not done either
    for words in (['--strength', '0.5'], ['--ensemble']):
        assert restore(models[1], 'in', *words) == 0
        assert '4 of these in place of others' in capsys.readouterr().out
    assert restore(models[0], 'in') == 0
    assert contents() == first


def test_overwrite(home, models, capsys):
    Path('restored').mkdir()
    Path('restored/a.png').write_bytes(b'mine')
    assert restore(models[0], 'in') == 0
    assert '3 restored into restored, 1 were there already' in capsys.readouterr().out
    assert Path('restored/a.png').read_bytes() == b'mine'
    assert restore(models[0], 'in', '--overwrite') == 0
    assert '4 restored into restored, 4 of these in place of others' in capsys.readouterr().out
    assert Image.open('restored/a.png').size == (32, 24)


def test_dry_run(home, models, capsys):
    assert restore(models[0], 'in/a.png') == 0
    before = contents()
    capsys.readouterr()
    assert restore(models[0], 'in', '--dry-run') == 0
    assert capsys.readouterr().out.splitlines() == [
        'in/a.png -> restored/a.png (is there already)',
        'in/b.jpg -> restored/b.jpg',
        'in/sub/c.png -> restored/sub/c.png',
        'in/sub/deep/d.png -> restored/sub/deep/d.png',
        'would restore 3 into restored, 0 of these replaced; 1 are there already; 0 refused',
    ]
    assert restore(models[1], 'in', '--dry-run', '--out', 'new') == 0
    assert not Path('new').exists()
    assert restore(models[1], 'in', '--dry-run') == 0
    assert 'in/a.png -> restored/a.png (replaces the one there)' in capsys.readouterr().out
    assert contents() == before
    assert restore(models[0], 'in', 'nowhere', '--dry-run') == 1
    capsys.readouterr()
    assert restore(models[0], 'in', '--dry-run', '--only-if-damaged', '--strength', '0') == 1
    assert 'only-if-damaged needs a strength above 0' in capsys.readouterr().err
    Path('in/notes.txt').write_text('x')
    assert restore(models[0], '.', '--dry-run') == 0
    assert capsys.readouterr().err.splitlines() == [
        'not pictures: 1 (.txt 1)',
        'left out, since they lie in the output folder: 1',
    ]


@pytest.mark.parametrize('report', ['restored/a.png', f'restored/{OUTPUTS}'])
def test_a_report_of_the_name_of_another_file_of_the_run_is_refused(home, models, capsys, report):
    assert restore(models[0], 'in', '--report', report) == 1
    assert f'report {report}: the run writes another file of this name' in capsys.readouterr().err
    assert not Path(report).exists()


def test_a_source_in_the_output_folder_is_refused_unless_it_is_found_there(home, models, capsys):
    assert restore(models[0], 'in/a.png', 'in/sub', '--out', 'in') == 1
    assert 'in/a.png would be written over itself' in capsys.readouterr().err
    assert restore(models[0], 'in/sub', 'in/sub/deep', '--out', 'in/sub') == 1
    capsys.readouterr()
    Path('other').mkdir()
    Image.new('L', (9, 7)).save('other/e.png')
    assert restore(models[0], 'other', 'in/sub/deep', '--out', 'in') == 1
    assert capsys.readouterr().err == (
        'error: in/sub/deep/d.png: lies in in, where the outputs go; take another folder for them\n'
    )
    assert not Path('in/e.png').exists()


@pytest.mark.parametrize(
    ('words', 'left'),
    [
        (['--include', '*.png'], ['a.png', 'sub/c.png', 'sub/deep/d.png']),
        (['--include', '*.jpg', '--include', 'a.*'], ['a.png', 'b.jpg']),
        (['--include', 'sub/**'], ['sub/c.png', 'sub/deep/d.png']),
        (['--exclude', 'sub/*'], ['a.png', 'b.jpg', 'sub/deep/d.png']),
        (['--include', '**/*.png', '--exclude', 'd.png'], ['a.png', 'sub/c.png']),
    ],
)
def test_include_and_exclude(home, models, capsys, words, left):
    assert restore(models[0], 'in', *words) == 0
    assert names() == left
    assert f'left out by --include and --exclude: {4 - len(left)}' in capsys.readouterr().err


def test_when_nothing_is_left_it_is_a_line(home, models, capsys):
    assert restore(models[0], 'in', '--exclude', '*') == 1
    assert capsys.readouterr().err == 'error: none of 4 files is left by --include and --exclude\n'


def test_list(home, models, capsys):
    Path('list.txt').write_text(f'in/a.png\r\n\n{home}/in/sub/c.png\nin/sub/../b.jpg\n')
    assert restore(models[0], '--list', 'list.txt') == 0
    below = f'{home}/in/sub/c.png'.lstrip('/')
    assert names() == sorted(['in/a.png', 'in/b.jpg', below])
    Path('list.txt').write_text('in/a.png\nin/x.png\n')
    assert restore(models[0], 'in', '--list', 'list.txt', '--out', 'new') == 1
    assert capsys.readouterr().err == 'error: in/x.png: no such file; nothing was restored\n'
    for content, words in (('', 'is empty'), ('in\n', 'in: is a folder')):
        Path('list.txt').write_text(content)
        assert restore(models[0], '--list', 'list.txt', '--out', 'new') == 1
        assert words in capsys.readouterr().err
    assert restore(models[0], '--list', 'none.txt', '--out', 'new') == 1
    assert capsys.readouterr().err == "error: list none.txt: can't be read (No such file or directory)\n"
    assert not Path('new').exists()


@pytest.mark.parametrize('words', [['-'], ['--list', '-']])
def test_a_list_on_standard_input(home, models, monkeypatch, capsys, words):
    odd = os.fsdecode(b'in/new\nline \xff.png')
    os.rename('in/a.png', odd)
    listed = os.fsencode(odd) + b'\0in/sub/c.png\0'
    monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(listed)))
    assert restore(models[0], *words) == 0
    assert names() == sorted([odd, 'in/sub/c.png'])
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert restore(models[0], *words) == 1
    assert 'several processes cannot share standard input' in capsys.readouterr().err


def test_suffix(home, models, capsys):
    assert restore(models[0], 'in/a.png', 'in/b.jpg', '--out', 'in', '--suffix', '_new') == 0
    assert {'a_new.png', 'b_new.jpg'} < set(names('in'))
    assert restore(models[0], 'in', '--out', 'in', '--suffix', '_new') == 0  # outputs are no sources
    assert names('in') == sorted([*NAMES, 'a_new.png', 'b_new.jpg', 'sub/c_new.png', 'sub/deep/d_new.png'])
    assert restore(models[0], 'in/a.png', '--out', 'in') == 1
    assert 'would be written over itself; take another folder than in, or add --suffix' in capsys.readouterr().err
    assert restore(models[0], 'in', '--suffix', '../x') == 1
    assert capsys.readouterr().err.startswith("error: suffix '../x': it becomes a part of file names")
    Image.new('P', (9, 9)).save('in/e.gif')
    assert restore(models[0], 'in/e.gif', '--suffix', '_new') == 0
    assert names() == ['e_new.gif.png']


@pytest.mark.parametrize('kind', KINDS)
def test_format(home, models, kind):
    assert restore(models[0], 'in', '--format', kind) == 0
    assert {suffix_kind(Path(name).suffix) for name in names()} == {KINDS[kind]}
    assert len(names()) == 4
    for name in names():
        image = Image.open(Path('restored', name))
        assert (image.format, image.size) == (KINDS[kind], (32, 24))


def test_format_keeps_a_suffix_of_the_same_kind_and_two_outputs_of_one_name_are_a_line(home, models, capsys):
    Image.new('RGB', (9, 9)).save('in/x.jpeg')
    assert restore(models[0], 'in/x.jpeg', '--format', 'jpeg') == 0
    assert names() == ['x.jpeg']
    Image.new('RGB', (9, 9)).save('in/a.jpg')
    assert restore(models[0], 'in', '--format', 'png', '--out', 'new') == 1
    assert 'would both become new/a.png' in capsys.readouterr().err


def test_format_of_16_bits_and_of_alpha(home, models, capsys):
    deep = np.arange(20 * 30 * 3, dtype=np.uint16).reshape(20, 30, 3) * 36
    cv2.imwrite('in/deep.png', deep)
    Image.new('RGBA', (9, 9), (1, 2, 3, 4)).save('in/alpha.png')
    words = ['in/deep.png', 'in/alpha.png', '--format', 'jpeg', '--quality', '100', '--strength', '0']
    assert restore(models[0], *words) == 3
    said = capsys.readouterr().err
    assert 'in/deep.png: 16 bits became 8, all that JPEG holds' in said
    assert "not restored: in/alpha.png: restored/alpha.jpg: .jpg files can't hold the alpha" in said
    assert names() == ['deep.jpg']
    assert abs(cv2.imread('restored/deep.jpg').astype(float) - deep / 257).max() < 6
    assert restore(models[0], 'in/deep.png', '--format', 'tiff') == 0
    assert cv2.imread('restored/deep.tif', cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_quality(home, models):
    sizes = {}
    for quality in (40, 95):
        assert restore(models[0], 'in/b.jpg', '--quality', quality, '--out', f'q{quality}') == 0
        sizes[quality] = Path(f'q{quality}/b.jpg').stat().st_size
    assert restore(models[0], 'in/b.jpg', '--out', 'default') == 0
    assert sizes[40] < sizes[95] == Path('default/b.jpg').stat().st_size


def test_batch_size(home, models, monkeypatch):
    from restorebox.restorers.base import BaseRestorer

    passes, infer = [], BaseRestorer.infer
    monkeypatch.setattr(BaseRestorer, 'infer', lambda self, x, *more: (passes.append(len(x)), infer(self, x, *more))[1])
    for i in range(3):
        Image.new('RGB', (20, 20), (40 * i, 0, 0)).save(f'in/square{i}.png')
    assert restore(models[0], 'in', '--out', 'one') == 0
    assert set(passes) == {1}
    passes.clear()
    assert restore(models[0], 'in', '--out', 'several', '--batch-size', 3) == 0
    assert [size for size in passes if size > 1] == [3, 3]  # of the four of one size, and of the squares
    assert names('one') == names('several')
    for name in names('one'):
        one, several = (np.asarray(Image.open(Path(folder, name))).astype(int) for folder in ('one', 'several'))
        assert abs(one - several).max() <= 1
