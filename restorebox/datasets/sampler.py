"""Infinite sampler of sample keys that can start at any position, for exact resume on any number of ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from restorebox.datasets.keys import SampleKey
from restorebox.registry import DATA_SAMPLERS
from restorebox.values import Whole


@DATA_SAMPLERS.register_module()
class KeyedSampler(Sampler):
    """Infinite sampler that yields a :class:`SampleKey` for positions ``rank, rank + world, rank + 2 * world, ...``.

    Position p belongs to epoch ``p // n`` and is element ``p % n`` of that epoch's permutation. So N ranks with batch
    size b consume the same positions per step as one rank with batch size N * b.

    Args:
        dataset: any object with a length n.
        shuffle: use a new permutation in every epoch; otherwise the order of the records.
        seed: seed of the permutations, the same on all ranks. None (MMEngine's ``diff_rank_seed``) draws one and
            synchronises it between the ranks.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: Whole | None = 0) -> None:
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world = get_dist_info()
        self.start = 0

    def skip(self, samples: int) -> None:
        """Start the next iteration at global position ``samples``, the number of samples consumed by all ranks.

        The cost does not depend on ``samples``: only the permutation of the current epoch is computed.
        """
        self.start = samples

    def __iter__(self) -> Iterator[SampleKey]:
        length = len(self.dataset)
        position, current = self.start + self.rank, -1
        order: Sequence[int] | np.ndarray = ()
        while True:
            epoch, offset = divmod(position, length)
            if epoch != current:
                current, order = epoch, self._order(epoch, length)
            yield SampleKey(int(order[offset]), epoch, position)
            position += self.world

    def _order(self, epoch: int, length: int) -> Sequence[int] | np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(length) if self.shuffle else range(length)

    def __len__(self) -> int:
        """Number of samples of this rank per epoch, rounded up; the iteration itself is infinite."""
        return -(-len(self.dataset) // self.world)
