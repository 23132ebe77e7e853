"""The command check-data, and the quick check before a training."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebox.cli.main import main
from restorebox.cli.train import quick_data_check
from restorebox.datasets.inspection import check, from_config, from_folder, quick_check
from restorebox.datasets.reading import read_picture
from tests.conftest import REPO, load_study
from tests.factories import write_pairs
from tests.processes import call, environment, one_line_error, succeed, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def study():
    """The script in docs/studies that makes data sets with faults."""
    return load_study('data_faults')


@pytest.fixture(scope='module')
def photographs():
    """Tiles of the photographs in scikit-image, without overlap."""
    pytest.importorskip('skimage')
    from restorebox.demo.photographs import packaged

    names = 'astronaut.png coffee.png camera.png rocket.jpg motorcycle_left.png chelsea.png'
    tiles = []
    for path in packaged([('skimage', 'data', names)]):
        picture = read_picture(path)
        height, width = (n // 2 for n in picture.shape[:2])
        for top in (0, height):
            tiles += [picture[top : top + height, left : left + width][:150, :220] for left in (0, width)]
    return tiles


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_inserted_faults_are_found_and_nothing_else(study, photographs, seed, tmp_path):
    planted = study.make_set(photographs, tmp_path, np.random.default_rng(seed))
    report = check(from_folder(tmp_path))
    found = planted.found(report.findings)
    assert len(found) == 8
    assert all(found.values()), found
    wrong = [each.text for each in planted.alarms(report.errors)]
    assert not wrong
    assert len(planted.alarms(report.warnings)) <= 1


def test_the_stored_results_meet_the_requirements():
    figures = json.loads((REPO / 'docs' / 'results' / 'data_faults.json').read_text())
    assert figures['seeds'] == 20
    assert figures['recall'] >= 0.95
    assert min(figures['recall_by_kind'].values()) >= 0.95
    assert figures['false_alarms_per_1000'] <= 1
    assert figures['noise_pairs']['false_alarms'] <= figures['noise_pairs']['pictures'] / 1000


@pytest.fixture
def restorebox(tmp_path, monkeypatch, capsys):
    """A function that runs a command in a folder with four training and two test pairs: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / 'data', 'train', 4, size=(160, 200))
    write_pairs(tmp_path / 'data', 'test', 2, size=(160, 200))
    capsys.readouterr()

    def call(*arguments):
        code = 0
        try:
            main([str(each) for each in arguments])
        except SystemExit as stopped:
            code = stopped.code
        return code, *capsys.readouterr()

    return call


def test_a_folder_and_its_exit_codes(restorebox, tmp_path):
    code, out, _ = restorebox('check-data', 'data', '--workers', '2')
    assert code == 0
    assert '12 of 12 pictures read' in out
    report = json.loads((tmp_path / 'work_dirs/check_data/report.json').read_text())
    assert (report['errors'], report['warnings']) == (0, 0)
    lq = tmp_path / 'data/train/lq'
    kept = (lq / '00.png').read_bytes()
    (lq / '00.png').write_bytes((lq / '01.png').read_bytes())
    (lq / '01.png').write_bytes(kept)
    (lq / '02.png').write_bytes(kept[:300])
    code, out, err = restorebox('check-data', 'data', '--out', 'o')
    assert (code, err) == (1, '')
    assert '3 errors, 0 warnings (1 unreadable, 2 wrong_partner)' in out
    report = json.loads((tmp_path / 'o/report.json').read_text())
    assert {each['files'][0] for each in report['findings']} == {f'data/train/lq/0{k}.png' for k in range(3)}
    assert read_picture(tmp_path / 'o/suspicious.png').ndim == 3


def test_a_config_and_mistakes(restorebox, tmp_path):
    config = write_config(tmp_path / 'toy.py', tmp_path / 'absent')
    code, out, _ = restorebox('check-data', config, '--data-root', 'data', '--quick')
    assert code == 0
    assert 'val, test' in out
    code, out, _ = restorebox('check-data', config)
    assert code == 1
    assert 'absent/train/lq: no such folder' in out
    for arguments, expected in (
        (['nowhere'], 'nowhere: no such folder, and no config'),
        (['nowhere.py'], 'nowhere.py: no such file'),
        (['.'], 'none of the known layouts'),
        (['data', '--data-root', 'x'], 'is a folder'),
    ):
        code, _, err = restorebox('check-data', *arguments)
        assert code == 1
        assert err.startswith('error: ')
        assert err.count('\n') == 1
        assert expected in err


def test_a_training_checks_its_data_first(restorebox, tmp_path, monkeypatch):
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=4)
    lq = tmp_path / 'data/train/lq'
    (lq / '00.png').write_bytes((lq / '03.png').read_bytes())
    code, _, err = restorebox('train', config, '--work-dir', 'w')
    line = err.splitlines()[-1]
    assert code == 1
    assert line.startswith('error: ')
    assert 'train/lq/00.png' in line
    assert 'different scenes' in line
    assert f'`restorebox check-data {config}`' in line
    assert not (tmp_path / 'w').exists()
    looks = []
    monkeypatch.setattr('restorebox.engine.running.run_config', lambda cfg, job, look: looks.append(look))
    assert restorebox('train', config, '--no-data-check')[0] == 0
    assert looks == [None]


def test_data_warnings_are_one_line_of_the_log(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 4)
    write_pairs(tmp_path / 'data', 'test', 2)
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=4)
    for role in ('lq', 'gt'):
        (tmp_path / 'data/test' / role / '01.png').unlink()
        (tmp_path / 'data/test' / role / '01.png').symlink_to(tmp_path / 'data/train' / role / '00.png')
    result = succeed(call('train.py', config, '--work-dir', 'v', cwd=tmp_path))
    lines = [line for line in result.stdout.splitlines() if 'data: ' in line]
    assert len(lines) == 1
    assert 'is used for training and is in val' in lines[0]
    assert 'and 1 more' in lines[0]


def test_the_command_for_the_full_check_reads_the_same_data(tmp_path):
    line = one_line_error(
        call(
            *('train.py', 'unet/unet_demo.py', '--data-root', tmp_path / 'my data'),
            *('--cfg-options', 'train_dataloader.batch_size=2', '--work-dir', 'w'),
            cwd=tmp_path,
        )
    )
    command = f"restorebox check-data unet/unet_demo.py '--data-root={tmp_path}/my data' --cfg-options "
    assert f'`{command}train_dataloader.batch_size=2` checks all data' in line


def test_only_the_first_rank_checks(monkeypatch):
    monkeypatch.setenv('RANK', '1')
    assert quick_data_check({'train_dataloader': {'dataset': {'type': 'no such thing'}}}, 'x') is None


def test_the_quick_check_scales_linearly_and_reads_few_files(tmp_path):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    took = {}
    for count in (1000, 8000):
        root = tmp_path / str(count)
        for role in ('lq', 'gt'):
            folder = root / 'train' / role
            folder.mkdir(parents=True)
            Image.fromarray(picture).resize((480, 320), Image.Resampling.BICUBIC).save(folder / '0.jpg')
            for k in range(1, count):
                (folder / f'{k}.jpg').hardlink_to(folder / '0.jpg')
        cfg = {'train_dataloader': {'dataset': dict(type='PairedPictures', data_root=str(root))}}
        for _ in range(3):
            start = time.process_time()  # CPU time of this process, independent of other programs
            report = quick_check(from_config(cfg, 'cfg'))
            took[count] = min(time.process_time() - start, took.get(count, 1e9))
        assert report.counts['train', 'lq'].files == count
        assert sum(count.read for count in report.counts.values()) == 32
        assert report.findings == []
    assert took[8000] < 24 * took[1000], took  # 8 times where the cost is linear, 64 times where it is quadratic


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux ends a process with its parent')
def test_reading_processes_end_with_a_killed_command(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / 'first.png')
    for role in ('lq', 'gt'):
        (tmp_path / 'data' / role).mkdir(parents=True)
        for number in range(100):
            os.link(tmp_path / 'first.png', tmp_path / f'data/{role}/{number:03}.png')
    command = [sys.executable, str(REPO / 'tools/check_data.py'), 'data', '--workers', '2']
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE)
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    while process.poll() is None and len(children.read_text().split()) < 2:
        time.sleep(0.01)
    assert process.poll() is None, 'it should still run'
    process.kill()
    process.communicate(timeout=120)  # the pipe is closed when the last of them has ended
