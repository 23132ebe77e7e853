"""The training loop that reads loss values only every few steps."""

import pytest

from restorebox.errors import NonFiniteError
from restorebox.registry import RUNNERS
from tests.hooks.test_hooks import config_for


def trained(folder, every, samples=24):
    cfg = config_for(folder, samples=samples)
    cfg.train_cfg.sync_every = every
    return RUNNERS.build(cfg)


def test_losses_are_logged_for_each_step_and_equal_those_read_at_once(tmp_path):
    logged = []
    for every in (1, 5):
        runner = trained(tmp_path / str(every), every)
        runner.train()
        values, counts = runner.message_hub.log_scalars['train/loss'].data
        logged.append(list(values))
        assert len(values) == 12
        assert set(counts) == {1}
    assert logged[0] == pytest.approx(logged[1])


def test_nan_found_late_names_its_step_and_no_checkpoint_has_it(tmp_path):
    runner = trained(tmp_path, 100, samples=40)
    original = runner.restorer.losses

    def losses(step, inputs, prepared):
        terms = original(step, inputs, prepared)
        return {k: v * float('nan') for k, v in terms.items()} if runner.iter == 12 else terms

    runner.restorer.losses = losses
    with pytest.raises(
        NonFiniteError, match=r'loss_l1 = nan.* in step 13, found after step 20 .*last good .*iter_10\.pth'
    ):
        runner.train()
    assert not (tmp_path / 'w' / 'iter_20.pth').exists()
