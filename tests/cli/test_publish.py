"""publish, and test of a published file."""

import json

import pytest
import torch

from restorebox.cli.main import main
from restorebox.engine import load_file
from restorebox.engine.published import load_restorer
from tests.factories import write_pairs
from tests.processes import call, refused, run, succeed, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    write_pairs(folder / 'data', 'train', 4)
    write_pairs(folder / 'data', 'test', 3)
    config = write_config(folder / 'toy.py', folder / 'data', samples=8)
    main(['train', str(config), '--work-dir', str(folder / 'w')])
    main(['test', str(config), str(folder / 'w/iter_4.pth'), '--work-dir', str(folder / 't')])
    return folder, config


def test_published_file_scores_the_same_and_holds_no_training_part(trained):
    folder, config = trained
    words = ('--licence', 'non-commercial', '--limits', 'line rain only')
    out = folder / 'model.safetensors'
    succeed(run('publish.py', folder / 'w/iter_4.pth', out, '--scores', folder / 't/scores.json', *words, cwd=folder))
    published, source = load_file(out), load_file(folder / 'w/iter_4.pth')
    assert published['state_dict'].keys() == source['ema_state_dict'].keys()
    assert all(torch.equal(v, source['ema_state_dict'][k]) for k, v in published['state_dict'].items())
    meta = published['meta']
    assert meta['licence'] == 'non-commercial'
    assert meta['limits'] == 'line rain only'
    assert json.loads(meta['cfg_json'])['model']['generator']['backbone']['type'] == 'UNet'
    assert meta['compute']['samples'] == 8
    assert meta['scores']['training'] == meta['compute']
    main(['test', str(config), str(out), '--work-dir', str(folder / 'p')])
    before, after = (json.loads((folder / d / 'scores.json').read_text())['mean'] for d in ('t', 'p'))
    assert before == after
    assert meta['scores']['mean'] == before

    main(['publish', str(folder / 'w/iter_4.pth'), str(folder / 'twin.safetensors')]
         + ['--scores', str(folder / 't/scores.json'), *words])  # fmt: skip
    assert (folder / 'twin.safetensors').read_bytes() == out.read_bytes(), 'the hash of the same weights changes'

    again = folder / 'again.safetensors'
    succeed(run('publish.py', out, again, *words, cwd=folder))
    assert load_file(again)['meta']['average'] == meta['average'] == 'moving average'


def test_half_precision_halves_the_file_and_loads_as_float32(trained, tmp_path, capsys):
    folder, _ = trained
    source = load_file(folder / 'w/iter_4.pth')
    whole, half = tmp_path / 'whole.safetensors', tmp_path / 'half.safetensors'
    words = ['--licence', 'x', '--limits', 'y']
    main(['publish', str(folder / 'w/iter_4.pth'), str(whole), *words])
    main(['publish', str(folder / 'w/iter_4.pth'), str(half), *words, '--half'])
    stored, loaded = load_file(half)['state_dict'], load_restorer(half).state_dict()
    weights = {key: value for key, value in source['ema_state_dict'].items() if value.is_floating_point()}
    assert weights
    for key, value in weights.items():
        assert stored[key].dtype == torch.float16
        assert torch.equal(stored[key], value.half())
        assert loaded[key].dtype == torch.float32
        assert torch.equal(loaded[key], value.half().float())
    saved = sum(2 * value.numel() for value in weights.values())
    assert abs(whole.stat().st_size - half.stat().st_size - saved) < 16, 'all but the weights is the same'
    key = next(key for key, value in weights.items() if value.ndim == 4)
    source['ema_state_dict'][key][0] = 7e4  # the largest number of float16 is 65,504
    torch.save(source, tmp_path / 'large.pth')
    words = ['publish', str(tmp_path / 'large.pth'), str(tmp_path / 'no.safetensors'), *words]
    assert f'{key} has values that are not finite or above 65504' in refused(lambda: main([*words, '--half']), capsys)
    assert not (tmp_path / 'no.safetensors').exists()
    main(words)


def test_publishing_refuses(trained, tmp_path, capsys):
    folder, _ = trained
    out = tmp_path / 'm.safetensors'

    def line(source, target, *more):
        words = ['publish', source, target, '--licence', 'x', '--limits', 'y', *more]
        return refused(lambda: main(list(map(str, words))), capsys)

    scores = json.loads((folder / 't/scores.json').read_text())
    scores['checkpoint']['sha256'] = '0' * 64
    (tmp_path / 'scores.json').write_text(json.dumps(scores))
    assert 'another checkpoint' in line(folder / 'w/iter_2.pth', out, '--scores', tmp_path / 'scores.json')
    assert 'safetensors' in line(folder / 'w/iter_2.pth', tmp_path / 'm.pth')
    torch.save({'w': torch.ones(1)}, tmp_path / 'bare.pth')
    assert 'contains no config' in line(tmp_path / 'bare.pth', out)
    assert not list(tmp_path.glob('*.safetensors'))


def test_a_checkpoint_of_another_model_with_the_same_shapes_is_reported(trained, tmp_path):
    folder, config = trained
    options = ('--work-dir', 't', '--cfg-options', 'model.generator.head.residual=True')
    result = succeed(call('test.py', config, folder / 'w/iter_4.pth', *options, cwd=tmp_path))
    assert 'trained with another model than this config has: generator.head.residual None -> True' in result.stdout
