"""Memory of a training step, counted with fake tensors, so that the full size of a paper needs no memory."""

import weakref

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from restorebox.engine.config import load_config
from restorebox.registry import RESTORERS


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operations have made and that are still held: ``now`` and ``peak``."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage() not in self.known:
                storage = tensor.untyped_storage()
                self.known.add(storage)
                self.now += storage.nbytes()
                weakref.finalize(storage, self.gone, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return out

    def gone(self, size):
        self.now -= size


def peak_of_a_step(config, row, side, options):
    """Bytes that the forward and backward passes of all steps of one iteration hold at most, batch 1."""
    cfg = load_config(config, options, row)
    with FakeTensorMode():
        restorer = RESTORERS.build(cfg.model.to_dict()).train()
        inputs = {role: torch.empty(1, 3, side, side) for role in restorer.picture_roles}
        with LiveBytes() as live:
            memory = restorer.prepare(inputs)
            for step, roles in restorer.steps.items():
                with restorer.updating(roles):
                    sum(restorer.losses(step, inputs, memory).values()).backward()
    return live.peak


def test_recomputing_info_accum_trains_large_crops_in_half_the_memory():
    recompute = {'model.generator.backbone.stems.down1.recompute': True}
    config = 'configs/infoaccum/rain800_pix2pix.py'
    stored, again = (peak_of_a_step(config, 'infoaccum', 1024, given) for given in ({}, recompute))
    assert again < stored / 2


def test_the_count_is_that_of_tensors_that_are_held():
    with FakeTensorMode(), LiveBytes() as live:
        x = torch.zeros(1000)
        y = x[:10]  # a view holds no more
        del x
        z = torch.zeros(500)
        del y
        torch.zeros(200)
    assert (live.peak, live.now) == (6000, 2000)
    del z
    assert live.now == 0
