"""A hook with which a test waits for a step of a training in another process."""

import time
from pathlib import Path

from mmengine.hooks import Hook

from restorebox.registry import HOOKS


@HOOKS.register_module()
class PauseHook(Hook):
    """After step 4, create the file ``reached`` and wait while the file ``wait`` exists."""

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        if runner.iter == 3:
            Path('reached').touch()
            while Path('wait').exists():
                time.sleep(0.05)
