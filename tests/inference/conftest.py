"""A small model that has been published."""

import pytest

from restorebox.inference import RestoreInferencer
from tests.factories import publish_small


@pytest.fixture(scope='session')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.fixture(scope='session')
def inferencer(published):
    return RestoreInferencer(published, device='cpu')
