"""restore, models and info, as a user types them."""

import hashlib
import shutil
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from restorebox.cli.main import main
from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.inference.output_log import OUTPUTS
from tests.conftest import REPO
from tests.factories import publish_small
from tests.processes import environment, free_port

BAD = 15


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.fixture(scope='module')
def mixed(tmp_path_factory):
    """200 small pictures of many kinds in three folders, 15 of them bad; and the names of these."""
    home = tmp_path_factory.mktemp('mixed') / 'photos'
    rng = np.random.default_rng(0)
    kinds = ['.png', '.jpg', '.bmp', '.tif', '.webp', '.gif', '.ppm']
    modes = ['RGB', 'L', 'P', 'RGBA', '1', 'CMYK']
    bad = []
    for i in range(200):
        folder = home / ('', 'sub', 'sub/deep er')[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        height, width = rng.integers(1, 50, 2)
        array = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if i % 13 == 6 and len(bad) < BAD:
            path = folder / f'{i:03d}.png'
            whole = cv2.imencode('.png', rng.integers(0, 256, (30, 30, 3), dtype=np.uint8))[1].tobytes()
            path.write_bytes([b'', b'no picture', whole[: len(whole) // 2]][len(bad) % 3])
            bad.append(path)
        elif i % 11 == 3:
            cv2.imwrite(str(folder / f'{i:03d}.png'), array.astype(np.uint16) * 257)
        else:
            suffix, mode = kinds[i % 7], modes[i % 6]
            fits = {
                '.jpg': ('RGB', 'L', 'CMYK'),
                '.bmp': ('RGB', 'L', 'P', '1'),
                '.webp': ('RGB', 'RGBA'),
                '.gif': ('P', 'L'),
                '.ppm': ('RGB', 'L'),
                '.png': ('RGB', 'L', 'P', 'RGBA', '1'),
                '.tif': modes,
            }
            image = Image.fromarray(array).convert(mode if mode in fits[suffix] else 'RGB')
            image.save(folder / f'{i:03d}{suffix}')
    assert len(bad) == BAD
    assert len(list_pictures(home, recursive=True)) == 200
    return home, bad


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*')
        if path.is_file() and path.name != OUTPUTS
    }


def command(*argv):
    return [sys.executable, '-m', 'restorebox', 'restore', *map(str, argv)]


def test_bad_pictures_are_named_and_the_others_restored(mixed, published, tmp_path, capsys):
    home, bad = mixed
    out = tmp_path / 'out'
    with pytest.raises(SystemExit) as caught:
        main(['restore', str(home), '--model', str(published), '--out', str(out), '--device', 'cpu'])
    assert caught.value.code == 3
    printed = capsys.readouterr()
    assert f'185 restored into {out}, 15 could not be restored' in printed.out
    lines = [line for line in printed.err.splitlines() if line.startswith('not restored: ')]
    assert len(lines) == BAD
    assert all(sum(str(path) in line for line in lines) == 1 for path in bad)
    made = hashes(out)
    assert len(made) == 185
    for path in list_pictures(home, recursive=True):
        if path not in bad:
            target = out / path.relative_to(home)
            target = target.with_name(f'{target.name}.png') if target.suffix == '.gif' else target
            before, after = read_picture(path, alpha=True), read_picture(target, alpha=True)
            assert before.shape[:2] == after.shape[:2]
            assert before.dtype == after.dtype
    # the same again makes nothing, and names the bad ones again
    with pytest.raises(SystemExit):
        main(['restore', str(home), '--model', str(published), '--out', str(out), '--device', 'cpu'])
    assert f'0 restored into {out}, 185 were there already, 15 could not' in capsys.readouterr().out
    assert hashes(out) == made


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(mixed, published, tmp_path, capsys):
    home, bad = mixed
    good = tmp_path / 'good'
    good.mkdir()
    pictures = [path for path in list_pictures(home, recursive=True) if path not in bad][:80]
    for path in pictures:
        shutil.copy(path, good)
    words = [good, '--model', published, '--out', tmp_path / 'out', '--device', 'cpu', '--ensemble']
    process = subprocess.Popen(command(*words), cwd=REPO, env=environment(), stdout=subprocess.DEVNULL)
    until = time.monotonic() + 600
    while len(list(tmp_path.glob('out/[!.]*'))) < 5 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -9, 'it should have been killed in the middle'
    first = hashes(tmp_path / 'out')
    whole = {name for name in first if not name.startswith('.')}
    assert 5 <= len(whole) < 80
    stamps = {name: (tmp_path / 'out' / name).stat().st_mtime_ns for name in whole}
    main(['restore', *map(str, words)])
    made, before = 80 - len(whole), len(whole)
    assert f'{made} restored into {tmp_path / "out"}, {before} were there already' in capsys.readouterr().out
    second = hashes(tmp_path / 'out')
    assert len(second) == 80
    assert {name: (tmp_path / 'out' / name).stat().st_mtime_ns for name in whole} == stamps
    assert all(second[name] == first[name] for name in whole)
    for path in list_pictures(tmp_path / 'out', recursive=True):
        read_picture(path)


@pytest.mark.slow
def test_two_processes_make_each_picture_once(mixed, published, tmp_path):
    home, _ = mixed
    out = tmp_path / 'out'
    launch = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node=2', f'--master-port={free_port()}']
    words = ['-m', 'restorebox', 'restore', str(home), '--model', str(published), '--out', str(out), '--device', 'cpu']
    result = subprocess.run(
        [*launch, *words], cwd=REPO, env=environment(), capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0  # torchrun would print a traceback otherwise
    # a picture that two had made would have been counted twice, or found already there by the other
    assert f'185 restored into {out}, 15 could not be restored' in result.stdout
    lines = [line for line in result.stderr.splitlines() if not line.startswith(('left out', str(home)))]
    assert [line.split(': ')[0] for line in lines] == ['not restored'] * BAD
    assert len(hashes(out)) == 185


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['{home}', '--model', 'wether'], r"error: there is no model 'wether'; did you mean 'weather'"),
        (['{home}', '--model', 'nowhere.safetensors'], 'error: weights nowhere.safetensors: no such file'),
        (['{home}/nothing/*.png', '--model', '{model}'], 'no picture fits this pattern'),
        (['{home}', '--model', '{model}', '--out', '{home}'], 'would be written over itself; take another folder'),
        (['{home}', '{home}/sub', '--model', '{model}', '--device', 'gpu'], "device 'gpu': is not one of"),
        (['{home}/000.png', '{home}/sub/../000.png', '--model', '{model}'], 'would both become'),
        (['{home}', '--model', '{model}', '--strength', 'nan'], 'strength is nan; it must be a number from 0 to 2'),
        (['{home}', '--model', '{model}', '--strength=-1'], 'strength is -1.0; it must be a number from 0 to 2'),
    ],
)
def test_mistakes_are_a_line(words, message, mixed, published, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [word.format(home=mixed[0], model=published) for word in words]
    with pytest.raises(SystemExit) as caught:
        main(['restore', *words])
    assert caught.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / 'restored').exists()


def test_a_missing_source_ends_it_and_an_output_below_the_source_is_none(published, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new('RGB', (9, 7), 'red').save('a.png')
    with pytest.raises(SystemExit) as caught:
        main(['restore', 'a.png', 'b.png', 'c.png', '--model', str(published), '--device', 'cpu'])
    assert caught.value.code == 1
    expected = ['error: b.png: no such file, and 1 more sources; nothing was restored']
    assert capsys.readouterr().err.splitlines() == expected
    assert not (tmp_path / 'restored').exists()
    main(['restore', 'a.png', '--model', str(published), '--device', 'cpu'])
    capsys.readouterr()
    main(['restore', '.', '--model', str(published), '--device', 'cpu'])  # does not restore what it restored
    assert '0 restored into restored, 1 were there already' in capsys.readouterr().out
    assert not (tmp_path / 'restored/restored').exists()


def test_models_and_info(published, capsys):
    main(['models'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['MODEL', 'WEIGHTS', 'METHOD', 'CONFIG']
    assert any(line.split()[0] == 'weather' and line.endswith('configs/fdrnet/weather.py') for line in lines)
    assert not any('to be trained' in line for line in lines)
    main(['models', '--all'])
    more = capsys.readouterr().out.splitlines()
    assert any('to be trained' in line for line in more)
    assert any(line.split() == ['CONFIG', 'ROW', 'WHAT', 'IT', 'IS'] for line in more)
    main(['info', str(published)])
    text = capsys.readouterr().out
    for words in ('licence', 'CC0', 'knows nothing', 'SupervisedRestorer', 'stride', 'sha256'):
        assert words in text
    main(['info', 'unet5_paired'])
    text = capsys.readouterr().out
    assert 'none published: restorebox train configs/unet/unet5_paired.py' in text
    assert 'over a window of 256 pixels' in text
    with pytest.raises(SystemExit):
        main(['info', 'unet5_pared'])
    assert "did you mean 'unet5_paired'" in capsys.readouterr().err
