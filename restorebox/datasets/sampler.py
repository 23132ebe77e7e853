"""An endless stream of sample keys that can begin anywhere, for exact resume on any number of ranks."""

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
    """Yields :class:`SampleKey` for the global positions ``rank, rank + world, rank + 2 * world, ...`` without end.

    Position p belongs to epoch ``p // n`` and, in that epoch's order, to place ``p % n``. N ranks with batches of b
    therefore consume the same positions in a step as one rank with batches of N * b.

    Args:
        dataset: anything with a length n.
        shuffle: draw a new order for every epoch; else records come as they are listed.
        seed: of the orders; the same on all ranks. None (MMEngine's ``diff_rank_seed``) agrees on one among the ranks.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: Whole | None = 0) -> None:
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world = get_dist_info()
        self.start = 0

    def skip(self, samples: int) -> None:
        """Let the next iteration begin at global position ``samples``: the number that all ranks together consumed.

        Costs nothing per sample: only the order of the epoch in which it lands is computed.
        """
        self.start = samples

    def __iter__(self) -> Iterator[SampleKey]:
        length = len(self.dataset)
        position, known, order = self.start + self.rank, -1, range(0)
        while True:
            epoch, place = divmod(position, length)
            if epoch != known:
                known, order = epoch, self._order(epoch, length)
            yield SampleKey(int(order[place]), epoch, position)
            position += self.world

    def _order(self, epoch: int, length: int) -> Sequence[int] | np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(length) if self.shuffle else range(length)

    def __len__(self) -> int:
        """Samples of one epoch that this rank sees, rounded up. (The iteration itself doesn't end.)"""
        return -(-len(self.dataset) // self.world)
