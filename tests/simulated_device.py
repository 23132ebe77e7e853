"""A simulated GPU: finds tensors, buffers and generators on the wrong device without having one.

Tensors of the simulated GPU are fake tensors, which have a shape, a dtype and a device but no values. Tensors on the
CPU stay real. So an operation checks its devices as it would on a GPU, and nothing needs a driver.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten
INDEXED = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)
# the shape of their result depends on values
WAITS = (aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default)
# the messages of an operation on several devices: PyTorch's, and those of this module
WRONG_DEVICE = 'on the same device|a generator for|indices on|lists on'


class WrongDeviceError(RuntimeError):
    """An operation that a GPU refuses and that fake tensors let pass."""


class SimulatedGenerator(torch.Generator):
    """A random number generator that names the device it was made for; its state is on the CPU."""

    def __new__(cls, device: torch.device | str = 'cpu') -> SimulatedGenerator:
        made = super().__new__(cls)
        made.claimed = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        """The device it was made for."""
        return self.claimed


class Generators(TorchFunctionMode):
    """Check that a generator is for the device on which it draws.

    Fake tensors don't check it, and below this level PyTorch replaces the Python object by its own.
    """

    def __torch_function__(self, func: Any, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        rng = kwargs.get('generator')
        if isinstance(rng, SimulatedGenerator):
            first = next((leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)), None)
            device = torch.device(kwargs.get('device') or (first.device if first is not None else 'cpu'))
            if rng.device.type != device.type:
                raise WrongDeviceError(f'{func}: a generator for {rng.device} draws on {device}')
        return func(*args, **kwargs)


class Operations(FakeTensorMode):
    """Run operations on CPU tensors as they are, and those that touch the simulated GPU on fake tensors.

    Attributes:
        waits: operations for which the host waits for the GPU: reads of a value and copies to the CPU.
    """

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        target = torch.device(kwargs.get('device') or 'cpu')
        if target.type == 'cpu' and not any(isinstance(tensor, FakeTensor) for tensor in given):
            return func(*args, **kwargs)
        on_gpu = any(tensor.device.type != 'cpu' for tensor in given)
        if on_gpu and (
            func in WAITS or (func is aten._to_copy.default and target.type == 'cpu' and 'device' in kwargs)
        ):
            self.waits.append(str(func))
        if func is aten._local_scalar_dense.default:  # the value is needed by Python code, such as a finiteness check
            return {torch.bool: True}.get(given[0].dtype, 1.0 if given[0].is_floating_point() else 1)
        if func is aten.copy_.default and args[0].device.type == 'cpu':
            self.waits.append(str(func))
            return args[0]  # copying from the GPU into a tensor on the CPU is allowed
        if func in INDEXED:
            for index in (each for each in args[1] if each is not None):
                if index.device.type not in ('cpu', args[0].device.type):
                    raise WrongDeviceError(f'{func}: indices on {index.device} for a tensor on {args[0].device}')
        if func.name().startswith('aten::_foreach_') and 'copy' not in func.name():
            lists = [each for each in args if isinstance(each, (list, tuple)) and isinstance(each[0], Tensor)]
            # a scalar on the CPU may meet any tensor, one on the GPU may not
            factors = {each.device.type for each in args if isinstance(each, Tensor)} - {'cpu'}
            for row in zip(*lists, strict=True):
                if len(places := {tensor.device.type for tensor in row if tensor.dim()} | factors) > 1:
                    raise WrongDeviceError(f'{func}: lists on {" and ".join(sorted(places))}')
        if 'generator' in kwargs:
            kwargs['generator'] = None  # nothing is drawn, since fake tensors have no values
        args, kwargs = tree_map_only(Tensor, self._as_fake, (args, kwargs))
        out = super().__torch_dispatch__(func, types, args, kwargs)
        return tree_map_only(FakeTensor, self._with_values_on_the_cpu, out)

    def _as_fake(self, tensor: Tensor) -> Tensor:
        return tensor if isinstance(tensor, FakeTensor) else self.from_tensor(tensor.detach())

    @staticmethod
    def _with_values_on_the_cpu(tensor: Tensor) -> Tensor:
        """Give a copy on the CPU values, here 1, so that what follows there can compute with them."""
        return torch.ones(tensor.shape, dtype=tensor.dtype) if tensor.device.type == 'cpu' else tensor


def give_gradients(loss: Tensor, *_: Any, **__: Any) -> None:
    """Give each parameter that ``loss`` depends on a gradient, as a backward pass does."""
    assert loss.requires_grad, 'the loss depends on no parameter'
    seen, todo = set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo += [each for each, _ in node.next_functions]
        leaf = getattr(node, 'variable', None)
        if leaf is not None:
            leaf.grad = torch.zeros_like(leaf)


@contextlib.contextmanager
def simulated() -> Iterator[torch.device]:
    """Simulate a GPU: ``module.to(device)`` and ``tensor.to(device)`` work in this context.

    A backward pass needs a real GPU; here it only gives each leaf of the graph a gradient of its shape and device.
    An operation on several devices raises an error that matches ``WRONG_DEVICE``. MPS can't be simulated: a
    convolution of fake tensors on it ends the process (PyTorch 2.14).

    Yields:
        The device.
    """
    with recorded() as (device, _):
        yield device


@contextlib.contextmanager
def recorded() -> Iterator[tuple[torch.device, Operations]]:
    """As :func:`simulated`; yields the device and the mode that records for what the host waits."""
    moved = nn.Module.to

    def to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        # PyTorch would swap fake parameters in place, which it refuses for those with weak references
        where = torch._C._nn._parse_to(*args, **kwargs)[0]
        tensors = [*module.parameters(), *module.buffers()]
        return module if tensors and all(t.device == where for t in tensors) else moved(module, *args, **kwargs)

    with (
        mock.patch.object(torch, 'Generator', SimulatedGenerator),
        mock.patch.object(nn.Module, 'to', to),
        mock.patch.object(Tensor, 'backward', give_gradients),
        Generators(),
        Operations() as operations,
    ):
        yield torch.device('cuda', 0), operations
