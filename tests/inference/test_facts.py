"""Reported properties of networks."""

import pytest

from restorebox.inference.facts import network_facts
from restorebox.registry import BACKBONES
from tests.factories import small_backbone, small_restorer


@pytest.mark.parametrize(('backbone', 'reads'), [('NAFUNet', True), ('FDRUNet', False)])
def test_a_network_that_reads_statistics_of_the_whole_picture_says_so(backbone, reads):
    restorer = small_restorer('SupervisedRestorer')
    restorer.generator.backbone = small_backbone(backbone)
    assert restorer.needs.global_statistics is reads
    facts = network_facts(restorer)
    assert ('global statistics' in facts) is reads
    assert facts['regime'] == 'SupervisedRestorer'


def test_a_network_that_needs_a_first_pass_over_the_tiles_says_so():
    assert 'means of features' not in network_facts(small_restorer('SupervisedRestorer'))
    restorer = small_restorer('SupervisedRestorer')
    inner = dict(type='FDRUNet', widths=(4, 6), blocks=(1, 1))
    restorer.generator.backbone = BACKBONES.build(dict(type='SceneGated', inner=inner, scene=8, tap='process'))
    assert network_facts(restorer)['means of features'] == 'over the whole picture, by a first pass over its tiles'
    restorer.statistics_window = 64
    assert 'means of features' not in network_facts(restorer)
