"""A restorer from a file alone."""

import json

import pytest
import torch

from restorebox.cli.publish import main as publish
from restorebox.engine.checkpoint import load_file, save_file
from restorebox.engine.published import load_restorer, stored_config
from restorebox.errors import CheckpointError
from tests.factories import SMALL_RESTORERS, small_restorer


def checkpoint(restorer):
    model = dict(type='SupervisedRestorer', **SMALL_RESTORERS['SupervisedRestorer'])
    return {'state_dict': restorer.state_dict(), 'meta': {'cfg_json': json.dumps({'model': model})}}


class TestLoadRestorer:
    def test_a_published_model_restores_as_the_trained_one(self, tmp_path):
        trained = small_restorer('SupervisedRestorer').eval()
        save_file(checkpoint(trained), tmp_path / 'a.pth')
        loaded = load_restorer(tmp_path / 'a.pth')
        lq = torch.rand(1, 3, 20, 13)
        assert not loaded.training
        assert torch.equal(loaded.restore(lq)['pred'], trained.restore(lq)['pred'])

    def test_takes_the_moving_average(self, tmp_path):
        trained = small_restorer('SupervisedRestorer')
        average = {key: torch.full_like(value, 0.5) for key, value in trained.state_dict().items()}
        save_file({**checkpoint(trained), 'ema_state_dict': average}, tmp_path / 'a.pth')
        assert all((value == 0.5).all() for value in load_restorer(tmp_path / 'a.pth').state_dict().values())

    def test_without_a_config_or_with_other_weights_it_names_the_file(self, tmp_path):
        whole = checkpoint(small_restorer('SupervisedRestorer'))
        save_file({**whole, 'meta': {}}, tmp_path / 'bare.pth')
        with pytest.raises(CheckpointError, match=r'bare\.pth: contains no config'):
            load_restorer(tmp_path / 'bare.pth')
        whole['state_dict'].popitem()
        save_file(whole, tmp_path / 'less.pth')
        with pytest.raises(CheckpointError, match=r'less\.pth.*is missing'):
            load_restorer(tmp_path / 'less.pth')


def test_a_published_file_tells_nobody_where_its_makers_folders_are(tmp_path):
    trained = checkpoint(small_restorer('SupervisedRestorer'))
    cfg = json.loads(trained['meta']['cfg_json'])
    cfg |= {'load_from': str(tmp_path / 'iter_5.pth'), 'data': [{'root': str(tmp_path), 'lq': 'lq/a'}]}
    trained['meta']['cfg_json'] = json.dumps(cfg)
    save_file(trained, tmp_path / 'a.pth')
    publish([str(tmp_path / 'a.pth'), str(tmp_path / 'a.safetensors'), '--licence', 'any', '--limits', 'all'])
    kept = stored_config(load_file(tmp_path / 'a.safetensors'), 'a')
    assert kept['model'] == cfg['model']
    assert kept['load_from'] == 'iter_5.pth'
    assert kept['data'] == [{'root': tmp_path.name, 'lq': 'lq/a'}]
    assert str(tmp_path) not in (tmp_path / 'a.safetensors').read_bytes().decode('latin1')
