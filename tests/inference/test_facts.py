"""Reported properties of networks."""

import pytest

from restorebox.inference.facts import network_facts
from tests.factories import small_backbone, small_restorer


@pytest.mark.parametrize(('backbone', 'reads'), [('NAFUNet', True), ('FDRUNet', False)])
def test_a_network_that_reads_statistics_of_the_whole_picture_says_so(backbone, reads):
    restorer = small_restorer('SupervisedRestorer')
    restorer.generator.backbone = small_backbone(backbone)
    assert restorer.needs.global_statistics is reads
    facts = network_facts(restorer)
    assert ('global statistics' in facts) is reads
    assert facts['regime'] == 'SupervisedRestorer'
