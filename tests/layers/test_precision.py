"""What a device can do."""

import pytest
import torch

from restorebox.layers.precision import has_bf16

CPU = torch.device('cpu')


@pytest.mark.parametrize(('names', 'there'), [(('_is_avx512_bf16_supported',), True), ((), False)])
def test_a_processor_is_asked_for_what_it_has(monkeypatch, names, there):
    for name in ('_is_avx512_bf16_supported', '_is_amx_tile_supported'):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    for name in names:
        monkeypatch.setattr(torch.cpu, name, lambda: True, raising=False)
    assert has_bf16(CPU) is there
    assert not has_bf16(torch.device('meta'))
