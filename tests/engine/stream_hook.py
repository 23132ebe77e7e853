"""A hook that writes the samples which a training receives, for tests of the stream."""

import hashlib
from pathlib import Path

from mmengine.hooks import Hook

from restorebox.registry import HOOKS


@HOOKS.register_module()
class WriteStreamHook(Hook):
    """Append a line per sample: position in the stream, set, record and hash of the clean crop."""

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        count, world = len(data_batch['data_samples']), runner.world_size
        with open(Path(runner.work_dir) / f'stream_{runner.rank}.txt', 'a') as out:
            for i, sample in enumerate(data_batch['data_samples']):
                crop = hashlib.sha256(data_batch['inputs']['gt'][i].numpy().tobytes()).hexdigest()[:16]
                position = (runner.iter * count + i) * world + runner.rank
                print(position, sample.set, sample.index, crop, file=out)
