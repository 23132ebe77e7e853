"""Sheets as images of the visualiser's backends."""

import pytest
from PIL import Image

from restorebox.registry import RUNNERS
from tests.hooks.test_hooks import config_for

pytestmark = pytest.mark.slow


def test_tensorboard_has_the_sheets_of_each_validation(tmp_path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    cfg = config_for(tmp_path)
    cfg.train_cfg.val_samples = 20
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    RUNNERS.build(cfg).train()
    (events,) = (tmp_path / 'w').glob('*/vis_data/events.out.*')
    logged = accumulator.EventAccumulator(str(events))
    logged.Reload()
    assert logged.Tags()['images'] == ['sheets/val']
    images = logged.Images('sheets/val')
    assert [image.step for image in images] == [10, 20]
    with Image.open(tmp_path / 'w' / 'sheets' / 'val_20.png') as sheet:
        assert (images[1].width, images[1].height) == sheet.size
    assert 'psnr_y' in logged.Tags()['scalars']
    assert not list((tmp_path / 'w').rglob('vis_image')), 'the local folder has the sheets already'
