"""Base of all restorers: value ranges, padding, a training step with any number of optimisers, prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from restorebox.backbones.base import Needs
from restorebox.errors import CheckpointError, ConfigError, NonFiniteError
from restorebox.layers import pad_to_multiple, set_statistics_window
from restorebox.layers.finite import nan_where_infinite
from restorebox.losses.base import check_finite, sum_terms
from restorebox.registry import RESTORERS
from restorebox.restorers.inputs import Inputs, training_inputs
from restorebox.restorers.network import combined_needs
from restorebox.restorers.strength import mix
from restorebox.restorers.weights import fitting_weights, names_without_wrappers, without_wrapper
from restorebox.sample import RestorationSample
from restorebox.values import StatisticsWindow

if TYPE_CHECKING:
    from mmengine.optim import OptimWrapper, OptimWrapperDict


class BaseRestorer(nn.Module):
    """A training method: networks (roles), losses, and the optimiser steps of one iteration.

    Roles are direct children. DDP wraps each role separately, and training calls the role itself
    (``self.generator(x, taps=...)``), never a submodule of it. It has the interface of MMEngine's ``BaseModel``,
    whose import takes longer than restoring a picture. A subclass defines:

    - ``picture_roles``: the picture roles that training reads, e.g. ``('lq', 'gt')``;
    - ``optional_roles``: further picture roles that it reads if the data set provides them, e.g. layers of rain;
    - ``deployed``: the roles needed for restoration; EMA and publishing cover them;
    - ``steps``: optimiser step -> roles it updates, in the order of the steps of an iteration;
    - ``rng_names``: names of the random number generators of the training, ``self.rngs[name]``, on the CPU; the base
      seeds them, and checkpoints store their states under these names;
    - ``frozen``: further roles that are neither trained nor deployed; checkpoints store them for a resume;
    - :meth:`losses`: the loss terms of a step;
    - :meth:`infer` if restoration is more than one pass of ``generator``;
    - :meth:`training_state` if training has more state than weights and ``rngs``, and :meth:`provenance` if it depends
      on more than its config.

    Args:
        statistics_window: side in input pixels of the window over which statistics (instance norm) are computed at
            test, usually the training crop; None uses the whole picture. Scores record it.
        data_preprocessor: see :class:`RestorationPreprocessor`.
    """

    picture_roles: tuple[str, ...] = ('lq', 'gt')
    optional_roles: tuple[str, ...] = ()
    deployed: tuple[str, ...] = ('generator',)
    steps: dict[str, tuple[str, ...]] = {'generator': ('generator',)}
    frozen: tuple[str, ...] = ()
    rng_names: tuple[str, ...] = ()
    statistics_window: int | None = None
    checks_finite = True  # in each step; a training loop with sync_every above 1 checks the logged sums instead

    def __init__(
        self, statistics_window: StatisticsWindow | None = None, data_preprocessor: dict | None = None
    ) -> None:
        super().__init__()
        self.data_preprocessor = RESTORERS.build(data_preprocessor or dict(type='RestorationPreprocessor'))
        if statistics_window is not None and (not isinstance(statistics_window, int) or statistics_window < 8):
            raise ConfigError(
                f'{type(self).__name__}: statistics_window is {statistics_window!r}; it must be None or at least 8'
            )
        self.statistics_window = statistics_window
        # equal on all ranks, which build the model with the same seed
        self.rngs = {name: torch.Generator('cpu').manual_seed(torch.initial_seed()) for name in self.rng_names}
        self._needs: Needs | None = None
        self._smallest: int | None = None
        self._register_state_dict_hook(names_without_wrappers)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the statistics window of a new role, and pass a new window on to all roles.

        The output of a network then depends on its weights and input only, not on earlier calls.
        """
        super().__setattr__(name, value)
        if isinstance(value, nn.Module):
            set_statistics_window(value, self.statistics_window)
        elif name == 'statistics_window':
            set_statistics_window(self, self.statistics_window)

    def role(self, name: str) -> Any:
        """Return a role without its DDP wrapper: for inference and saving, never for a training pass."""
        return without_wrapper(getattr(self, name))

    def roles_in(self, state: dict[str, Tensor]) -> tuple[str, ...]:
        """Return the roles whose weights a state dict contains.

        Raises:
            CheckpointError: there are none.
        """
        own = [name for name, child in self.named_children() if child.state_dict()]
        roles = tuple(name for name in own if any(key.startswith(f'{name}.') for key in state))
        if not roles:
            raise CheckpointError(f'it is of another model: it has none of the roles {", ".join(own)}')
        return roles

    def check_weights(self, state: dict[str, Tensor], roles: tuple[str, ...]) -> dict[str, dict[str, Tensor]]:
        """Check that weights fit these roles.

        Returns:
            role -> its part of ``state``.

        Raises:
            CheckpointError: weights are missing, unknown, of another shape or kind, NaN or infinite.
        """
        return fitting_weights({name: self.role(name) for name in roles}, state)

    def load_weights(self, state: dict[str, Tensor], roles: tuple[str, ...] | None = None) -> None:
        """Load weights by role, completely or not at all.

        Args:
            state: weights with the role as prefix, as :meth:`state_dict` returns them.
            roles: roles to load; None for every role that has weights. Other keys are ignored.

        Raises:
            CheckpointError: see :meth:`check_weights`; nothing has been loaded.
        """
        roles = roles or tuple(name for name, child in self.named_children() if child.state_dict())
        for name, part in self.check_weights(state, roles).items():
            self.role(name).load_state_dict(part)

    @property
    def needs(self) -> Needs:
        """Combined requirements of the deployed networks.

        Raises:
            ConfigError: the deployed networks have different value ranges.
        """
        if self._needs is None:  # cached: read several times per step, and networks don't change
            self._needs = self._combined_needs()
        return self._needs

    @property
    def smallest_crop(self) -> int:
        """Minimum side of training pictures in pixels: the largest ``min_size`` of the trained networks."""
        if self._smallest is None:  # cached like needs
            networks = [self.role(name) for roles in self.steps.values() for name in roles]
            self._smallest = int(max(network.needs.min_size for network in networks if hasattr(network, 'needs')))
        return self._smallest

    def _combined_needs(self) -> Needs:
        return combined_needs({name: self.role(name).needs for name in self.deployed}, type(self).__name__)

    def to_range(self, x: Tensor) -> Tensor:
        """Map [0, 1] to the network's value range."""
        low, high = self.needs.value_range
        return x if (low, high) == (0.0, 1.0) else x * (high - low) + low

    def from_range(self, x: Tensor) -> Tensor:
        """Map the network's value range to [0, 1], unclamped."""
        low, high = self.needs.value_range
        return x if (low, high) == (0.0, 1.0) else (x - low) / (high - low)

    def estimate_shared(self, lq: Tensor) -> dict[str, Tensor] | None:
        """Compute what all tiles of a picture have to share; passed to each tile as ``shared``.

        Args:
            lq: ``(N, 3, H, W)`` in [0, 1], the whole picture; for global statistics also uint8 or uint16.

        Returns:
            The generator's global statistics by name; None where tiles are independent.
        """
        reads = 'generator' in self.deployed and self.role('generator').needs.global_statistics
        return self.role('generator').backbone.global_statistics(lq) if reads else None

    def infer(
        self,
        x: Tensor,
        shared: dict[str, Tensor] | None,
        rng: torch.Generator | None,
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, Tensor]:
        """Run the deployed networks on a padded batch.

        Args:
            x: ``(N, 3, H, W)`` in the network's value range, sizes multiples of the stride.
            shared: result of :meth:`estimate_shared`.
            rng: random number generator of methods that draw at test.
            progress: called with (done, total) by methods with many passes.

        Returns:
            ``pred`` in the network's value range and estimated layers in [0, 1], all ``(N, C, H, W)``.
        """
        network = self.role('generator')
        given = {name: shared[name] for name in network.backbone.given if name in shared} if shared else {}
        return {'pred': network(x, **given)['picture']}

    @torch.no_grad()
    def restore(
        self,
        lq: Tensor,
        *,
        shared: dict[str, Tensor] | None = None,
        rng: torch.Generator | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, Tensor]:
        """Restore pictures of any size from 1x1.

        Args:
            lq: ``(N, 3, H, W)`` RGB float in [0, 1].
            shared: result of :meth:`estimate_shared` for the whole picture if ``lq`` is a tile of it.
            rng: random number generator of methods that draw at test.
            progress: called with (done, total).

        Returns:
            ``pred`` and every estimated layer, ``(N, C, H, W)`` float32 in [0, 1]; NaN where the network's output is
            not finite.
        """
        if self.training:
            raise RuntimeError('restore() needs the evaluation mode: call .eval() first')
        height, width = lq.shape[-2:]
        needs = self.needs
        if shared is None and needs.global_statistics:  # of the unpadded picture
            shared = self.estimate_shared(lq)
        x = pad_to_multiple(self.to_range(lq), needs.stride, needs.min_size)
        out = self.infer(x, shared, rng, progress)
        out['pred'] = self.from_range(out['pred'])
        return {name: nan_where_infinite(y[..., :height, :width].float()).clamp(0, 1) for name, y in out.items()}

    def at_strength(self, lq: Tensor, out: dict[str, Tensor], strength: float) -> Tensor:
        """Return the prediction at a strength from the result of :meth:`restore`, see :func:`mix`."""
        return mix(lq, out['pred'], strength)

    def predict(self, inputs: Inputs, data_samples: list[RestorationSample]) -> list[RestorationSample]:
        """Restore a batch. Pictures of unequal sizes, and those of a sampling method, are restored one by one.

        Args:
            inputs: ``lq``, and ``gt`` if available, see :class:`RestorationPreprocessor`.
            data_samples: one per picture; filled with ``pred``, layers, ``lq`` and ``gt``. If a layer is both
                estimated and known, the known one is stored as ``true_LAYER``.
        """
        if not data_samples:  # every picture of the batch was unreadable and skipped
            return []
        lq = inputs['lq']
        together = isinstance(lq, Tensor) and self.needs.tiling != 'noise'
        groups: list[Tensor] = [lq] if together else [picture[None] for picture in lq]
        first = 0
        for group in groups:
            # seeded by the picture's index, so that ranks and batch sizes make no difference
            rng = torch.Generator(group.device).manual_seed(data_samples[first].metainfo.get('index', 0))
            out = self.restore(group, shared=self.estimate_shared(group), rng=rng)
            for i in range(group.shape[0]):
                data_samples[first + i].set_data({name: value[i] for name, value in out.items()})
            first += group.shape[0]
        for i, sample in enumerate(data_samples):
            for role, pictures in inputs.items():
                sample.set_data({f'true_{role}' if role in sample else role: pictures[i]})
        return data_samples

    def test_step(self, data: dict) -> list[RestorationSample]:
        """Restore a batch of the data loader, see :meth:`predict`."""
        return self(**self.data_preprocessor(data, False), mode='predict')

    val_step = test_step

    # -- training ------------------------------------------------------------------------------------------------

    def prepare(self, inputs: Inputs) -> dict:
        """Compute what several steps of an iteration use, once, before the first of them.

        All roles have gradients here; in a step only the roles it updates have.

        Args:
            inputs: role -> ``(N, C, H, W)`` in [0, 1].

        Returns:
            Passed to :meth:`losses` as ``prepared``.
        """
        return {}

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Return the loss terms of one optimiser step.

        Args:
            step: a key of ``steps``.
            inputs: role -> ``(N, C, H, W)`` in [0, 1].
            prepared: result of :meth:`prepare`; a step may add entries for the next.

        Returns:
            Scalars. Those whose name starts with ``loss`` are summed and minimised; the others are only logged.
        """
        raise NotImplementedError

    def training_state(self) -> dict:
        """Return this rank's training state besides weights and the global random state, for an exact resume.

        Returns:
            Tensors, plain values, dicts and lists of them; a checkpoint stores them per rank. Here: name -> state of
            each of ``rngs``.
        """
        return {name: rng.get_state() for name, rng in self.rngs.items()}

    def load_training_state(self, state: dict) -> None:
        """Restore the result of :meth:`training_state`.

        Raises:
            CheckpointError: the state of a random number generator is missing.
        """
        for name, rng in self.rngs.items():
            if name not in state:
                raise CheckpointError(f"it has no state of the random number generator '{name}'")
            rng.set_state(state[name].cpu())

    def provenance(self) -> dict:
        """Return what stored scores must record besides config and encoders: plain values by name."""
        return {}

    def apply_loss(self, loss: nn.Module, pred: Tensor, target: Tensor, degraded: Tensor | None = None) -> Tensor:
        """Call a :class:`BaseLoss` on tensors in the network's range, mapped to [0, 1] if the loss requires it."""
        given: tuple[Any, ...] = (pred, target, degraded) if loss.reads_degraded else (pred, target)
        return loss(*(given if loss.value_range is None else map(self.from_range, given)))

    @contextmanager
    def updating(self, roles: tuple[str, ...]) -> Iterator[None]:
        """Disable gradients of the roles that a step does not update."""
        trained = dict.fromkeys(name for names in self.steps.values() for name in names)
        frozen = [p for name in trained if name not in roles for p in self.role(name).parameters() if p.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)

    @contextmanager
    def _contexts(self, wrappers: dict[str, OptimWrapper]) -> Iterator[None]:
        """Enter the steps' contexts: autocast, and no gradient synchronisation while gradients accumulate."""
        with ExitStack() as stack:
            for step, wrapper in wrappers.items():
                for name in self.steps[step]:
                    stack.enter_context(wrapper.optim_context(getattr(self, name)))
            yield

    def train_step(self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict) -> dict[str, Tensor]:
        """Run one iteration: all optimiser steps in order.

        Args:
            data: a batch of the data loader.
            optim_wrapper: one wrapper, or a dict of them by step.

        Returns:
            Values to log: the terms of :meth:`losses`, and their sum ``loss`` (``total_STEP`` with several steps).

        Raises:
            ConfigError: the batch lacks a role, or its sizes do not fit the networks.
            NonFiniteError: the sum of a step, or the gradient if it is clipped, is NaN or infinite; the step has
                changed no weight.
        """
        inputs = training_inputs(self, data)
        several = hasattr(optim_wrapper, 'keys')  # an OptimWrapperDict
        wrappers: dict[str, Any] = {step: optim_wrapper[step] if several else optim_wrapper for step in self.steps}
        with self._contexts(wrappers):
            prepared = self.prepare(inputs)
        log: dict[str, Tensor] = {}
        for step, roles in self.steps.items():
            with self.updating(roles):  # in the backward pass too: it may recompute activations
                with self._contexts({step: wrappers[step]}):
                    terms = self.losses(step, inputs, prepared)
                    total = sum_terms(terms, type(self).__name__, step)
                    if self.checks_finite:
                        check_finite(terms, total, step)
                try:
                    wrappers[step].update_params(total)
                except RuntimeError as error:  # raised by clip_grad=dict(..., error_if_nonfinite=True)
                    if 'non-finite' not in str(error):
                        raise
                    raise NonFiniteError(f'{step}: the gradient is NaN or infinite, its losses are not') from error
            repeated = sorted(log.keys() & terms.keys())
            if repeated:
                raise ConfigError(f"{type(self).__name__}: two steps log '{repeated[0]}'; use different names")
            log.update({name: value.detach() for name, value in terms.items()})
            log['loss' if len(self.steps) == 1 else f'total_{step}'] = total.detach()
        return log

    def forward(self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor') -> object:
        """Run one of MMEngine's three modes.

        Args:
            inputs: role -> pictures in [0, 1].
            data_samples: one per picture.
            mode: ``'tensor'`` (:meth:`restore` of ``lq``), ``'predict'`` (samples) or ``'loss'`` (terms of all steps).
        """
        if mode == 'tensor':
            return self.restore(inputs['lq'])
        if mode == 'predict':
            return self.predict(inputs, data_samples or [])
        if mode == 'loss':
            prepared = self.prepare(inputs)
            return {k: v for step in self.steps for k, v in self.losses(step, inputs, prepared).items()}
        raise ConfigError(f"mode is '{mode}'; it must be 'tensor', 'predict' or 'loss'")
