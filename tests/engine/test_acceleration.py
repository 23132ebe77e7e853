"""Compiled roles and TF32; what they gain is measured on a GPU, what they compute is tested here."""

import logging

import pytest
import torch

from restorebox.engine.acceleration import allow_tf32, compile_roles
from restorebox.errors import ConfigError
from tests.factories import small_restorer
from tests.restorers.test_all_restorers import batch_for, wrappers

LOGGER = logging.getLogger('test')
CYCLE = 'CycleRestorer'


@pytest.mark.slow
def test_compiled_roles_give_the_same_losses_and_keep_the_names_of_their_weights():
    logs = []
    for compiled in (False, True):
        torch.manual_seed(0)
        restorer = small_restorer(CYCLE).train()
        names = list(restorer.state_dict())
        if compiled:
            compile_roles(restorer, {'roles': ['generator'], 'backend': 'eager'}, LOGGER)
            assert restorer.generator._compiled_call_impl is not None
            assert list(restorer.state_dict()) == names
        made = wrappers(restorer)
        logs.append([restorer.train_step(batch_for(restorer), made) for _ in range(2)])
    for plain, other in zip(*logs, strict=True):
        for name, value in plain.items():
            torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'roles': ['generater']}, r"compile.roles: CycleRestorer trains no 'generater'; .*'generator'"),
        ({'roles': ['generator'], 'backend': 'inducter'}, r"compile.backend is 'inducter'; .*'inductor'"),
    ],
)
def test_unknown_names_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        compile_roles(small_restorer(CYCLE), settings, LOGGER)


def test_tf32_is_allowed_forbidden_or_left_alone():
    places = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [place.allow_tf32 for place in places]
    try:
        for allowed in (True, False):
            allow_tf32(allowed)
            allow_tf32(None)
            assert [place.allow_tf32 for place in places] == [allowed, allowed]
    finally:
        for place, value in zip(places, before, strict=True):
            place.allow_tf32 = value
