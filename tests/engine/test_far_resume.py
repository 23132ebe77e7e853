"""Resuming late in a long run starts at once: nothing that was trained on is read again."""

import json
import shutil

import pytest
import torch
from PIL import Image

from restorebox.datasets.sampler import KeyedSampler
from restorebox.engine import load_file
from tests.processes import REPO, run, succeed, write_config

HOOK = """
import json, time
from mmengine.hooks import Hook
from restorebox.datasets import transforms
from restorebox.registry import HOOKS

reads = []
original = transforms.read_picture
transforms.read_picture = lambda path: (reads.append(str(path)), original(path))[1]

@HOOKS.register_module()
class Stopwatch(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if not hasattr(self, 'done'):
            self.done = True
            names = [sample.name for sample in data_batch['data_samples']]
            json.dump(dict(step=runner.iter, names=names, reads=len(reads)), open('first.json', 'w'))
"""


@pytest.mark.slow
def test_step_50000_of_10000_pictures_reads_no_picture_twice(tmp_path):
    picture = tmp_path / 'one.png'
    Image.new('RGB', (32, 32), (90, 120, 60)).save(picture)
    data = picture.read_bytes()
    for split, count in (('train', 10_000), ('test', 1)):
        for role in ('lq', 'gt'):
            folder = tmp_path / 'data' / split / role
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f'{i:05d}.png').write_bytes(data)
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=4)
    succeed(run('train.py', config, '--work-dir', 'short', cwd=tmp_path))

    checkpoint = load_file(tmp_path / 'short' / 'iter_2.pth')
    checkpoint['meta']['iter'] = 50_000
    (tmp_path / 'long').mkdir()
    torch.save(checkpoint, tmp_path / 'long' / 'iter_50000.pth')
    shutil.rmtree(tmp_path / 'short')
    (tmp_path / 'stopwatch.py').write_text(HOOK)
    config.write_text(
        config.read_text().replace('max_samples=4', 'max_samples=100_002')
        + "custom_imports = dict(imports=['stopwatch'])\ncustom_hooks = [dict(type='Stopwatch')]\n"
    )
    path = f'{tmp_path}:{REPO}'
    succeed(run('train.py', config, '--work-dir', 'long', '--resume', cwd=tmp_path, PYTHONPATH=path))
    first = json.loads((tmp_path / 'first.json').read_text())
    assert first['step'] == 50_000
    assert first['reads'] == 4  # two pictures of two roles
    sampler = KeyedSampler(range(10_000), seed=0)
    sampler.skip(100_000)
    keys = iter(sampler)
    assert first['names'] == [f'{next(keys).index:05d}' for _ in range(2)]
