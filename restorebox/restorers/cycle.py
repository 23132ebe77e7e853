"""Unpaired restoration between two domains: CCLGAN, CycleGAN and CUT as settings of one class.

Zhao, Cai, Hu, Yuan, "Cycle contrastive adversarial learning for unsupervised image deraining" (arXiv 2407.11750);
Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks" (ICCV 2017); Park et al.,
"Contrastive learning for unpaired image-to-image translation" (ECCV 2020). CCLGAN's formulas are missing in its public
text: equation numbers refer to its reconstruction from prose and the authors' code, ``configs/cclgan/README.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from restorebox.errors import ConfigError
from restorebox.heads.projection import ProjectionHead
from restorebox.layers.position_sampling import draw_positions, gather_positions
from restorebox.losses.adversarial import AdversarialLoss
from restorebox.losses.contrastive import InterContrastiveLoss, IntraContrastiveLoss, PatchNCELoss
from restorebox.losses.pixel import L1Loss
from restorebox.registry import ENCODERS, RESTORERS, nearest
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.image_pool import ImagePool
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.values import Names, NotNegative, PoolSize, Samples, StatisticsWindow

# picture of an iteration -> its domain
DOMAIN = {
    'rainy': 'rainy',  # I_r
    'clean': 'clean',  # I_n
    'fake_clean': 'clean',  # F_n = G_n(I_r)
    'fake_rainy': 'rainy',  # F_r = G_r(I_n)
    'rec_rainy': 'rainy',  # R_r = G_r(F_n)
    'rec_clean': 'clean',  # R_n = G_n(F_r)
    'same_clean': 'clean',  # G_n(I_n)
    'same_rainy': 'rainy',  # G_r(I_r)
}
# (query, key) pairs of the location loss in CCLGAN
LCL_PAIRS = (
    ('fake_clean', 'rainy'),
    ('fake_rainy', 'clean'),
    ('rec_rainy', 'fake_clean'),
    ('rec_clean', 'fake_rainy'),
)
Features = dict[str, Tensor]


@RESTORERS.register_module()
class CycleRestorer(BaseRestorer):
    """Two generators between a degraded ("rainy") and a clean domain, trained on unpaired pictures of both.

    ::

            I_r -> generator -> F_n -> rain_generator -> R_r      discriminator compares F_n with I_n
            I_n -> rain_generator -> F_r -> generator -> R_n      rain_discriminator compares F_r with I_r
                                |  intermediate features                        |  intermediate features
                  v                                               v
          projector, rain_projector                     inter_projector, rain_inter_projector
          location loss, eq 7                           inter loss, eqs 4 to 6
        R_r, I_r, I_n, F_n (and R_n, I_n, I_r, F_r) -> frozen encoder -> intra loss, eqs 1 to 3

    Networks and heads of losses with weight 0 are not built. Features for the location loss are taken from the passes
    that generate the pictures; only the two reconstructions need a separate encoder pass. A picture is encoded by the
    generator that takes its domain, and embedded by that generator's projector.

    Args:
        generator: deployed network, degraded -> clean, ``dict(backbone=..., head=...)``; ``rain_generator`` has the
            same config.
        discriminator: network with a realness head; ``rain_discriminator`` has the same config.
        directions: 2, or 1 for degraded -> clean only (CUT), without cycle and rain networks.
        gan_mode: see :class:`AdversarialLoss`; eqs 8 to 10.
        lambda_lcl: weight of the location contrastive loss.
        lambda_intra: weight of the intra cycle contrastive loss.
        lambda_inter: weight of the inter cycle contrastive loss.
        lambda_idt: weight of the identity L1.
        lambda_cycle: weight of CycleGAN's cycle L1.
        lcl_pairs: (query, key) pictures whose losses are averaged, names as in ``DOMAIN``.
        lcl_taps: features of the generator's backbone used by the location loss.
        lcl_positions: positions per feature.
        intra_negatives: ``'both'``, ``'real'`` or ``'fake'``, see :class:`IntraContrastiveLoss`.
        inter_positives: ``'both'``, ``'real'`` or ``'fake'``, see :class:`InterContrastiveLoss`.
        inter_taps: features of the discriminator's backbone.
        inter_positions: positions per feature.
        inter_updates_d: use the inter loss, with detached generated pictures, to train the discriminators too.
        semantic_encoder: config of an encoder, for the intra loss.
        image_pool: size of the pool of generated pictures per discriminator, see :class:`ImagePool`.
        statistics_window: see :class:`BaseRestorer`.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: settings that contradict each other.
    """

    picture_roles = ('lq', 'hq')
    # positions, equal on all ranks; image pools draw separately, since ranks draw for them unequally often
    rng_names = ('draws', 'coins')

    def __init__(
        self,
        generator: Network | dict,
        discriminator: Network | dict,
        directions: int = 2,
        gan_mode: str = 'hinge',
        lambda_lcl: NotNegative = 2.0,
        lambda_intra: NotNegative = 1.0,
        lambda_inter: NotNegative = 0.005,
        lambda_idt: NotNegative = 1.0,
        lambda_cycle: NotNegative = 0.0,
        lcl_pairs: Sequence[tuple[str, str]] = LCL_PAIRS,
        lcl_taps: Names = ('down1', 'down2', 'res1'),
        lcl_positions: Samples = 256,
        intra_negatives: str = 'both',
        inter_positives: str = 'both',
        inter_taps: Names = ('input', 'conv2', 'conv3'),
        inter_positions: Samples = 64,
        inter_updates_d: bool = False,
        semantic_encoder: dict | None = None,
        image_pool: PoolSize = 0,
        statistics_window: StatisticsWindow | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(statistics_window, data_preprocessor)
        self.weights = dict(lcl=lambda_lcl, intra=lambda_intra, inter=lambda_inter, idt=lambda_idt, cycle=lambda_cycle)
        self.two_way = directions == 2
        self.taps = tuple(lcl_taps) if lambda_lcl else ()
        self.inter_taps = tuple(inter_taps)
        if any(isinstance(pair, str) or len(pair) != 2 for pair in lcl_pairs):
            raise ConfigError(f'{type(self).__name__}: lcl_pairs are (query, key) pairs of names, not {lcl_pairs!r}')
        self.lcl_pairs = tuple((query, key) for query, key in lcl_pairs) if lambda_lcl else ()
        # with a single position there are no negatives
        counts = {'lcl_positions': (lcl_positions, 2), 'inter_positions': (inter_positions, 1)}
        self._check(directions, semantic_encoder, inter_updates_d, counts)
        self.counts = dict(lcl=lcl_positions, inter=inter_positions)
        self.inter_updates_d = inter_updates_d

        domains = ('clean', 'rainy') if self.two_way else ('clean',)
        generators, discriminators, projectors, inter_projectors = (
            {domain: ('rain_' if domain == 'rainy' else '') + role for domain in domains}
            for role in ('generator', 'discriminator', 'projector', 'inter_projector')
        )
        for roles, cfg in ((generators, generator), (discriminators, discriminator)):
            for name in roles.values():
                setattr(self, name, build_network(cfg, name))
        ranges = {name: self.role(name).needs.value_range for name in ('generator', 'discriminator')}
        if len(set(ranges.values())) > 1:
            raise ConfigError(f'{type(self).__name__}: generator and discriminator differ in value_range: {ranges}')
        if lambda_lcl:
            self._add_projectors(projectors, generators, self.taps)
        if lambda_inter:
            self._add_projectors(inter_projectors, discriminators, self.inter_taps)
        self.discriminators, self.inter_projectors = discriminators, inter_projectors
        # a picture is encoded by the generator that takes its domain
        self.encoders = {'rainy': 'generator', 'clean': generators.get('rainy', 'generator')}
        self.projectors = {'rainy': projectors.get('rainy', 'projector'), 'clean': 'projector'}
        trained = [*generators.values()]
        trained += [*projectors.values()] if lambda_lcl else []
        trained += [*inter_projectors.values()] if lambda_inter else []
        self.steps = {'discriminator': tuple(discriminators.values()), 'generator': tuple(trained)}

        self.adversarial = AdversarialLoss(gan_mode)
        self.l1 = L1Loss()
        self.nce = PatchNCELoss()
        self.intra = IntraContrastiveLoss(negatives=intra_negatives)
        self.inter = InterContrastiveLoss(positives=inter_positives)
        self.encoder = ENCODERS.build(semantic_encoder) if lambda_intra else None
        self.pools = {domain: ImagePool(image_pool, self.rngs['coins']) for domain in domains}

    def _check(
        self, directions: int, semantic_encoder: dict | None, inter_updates_d: bool, counts: dict[str, tuple[int, int]]
    ) -> None:
        owner = type(self).__name__
        if directions not in (1, 2):
            raise ConfigError(f'{owner}: directions is {directions!r}; it must be 1 or 2')
        for name, weight in self.weights.items():
            if not isinstance(weight, (int, float)) or not 0 <= weight < float('inf'):
                raise ConfigError(f'{owner}: lambda_{name} is {weight!r}; it must be a number of 0 or more')
        for name, (count, least) in counts.items():
            if not isinstance(count, int) or count < least:
                raise ConfigError(f'{owner}: {name} is {count!r}; it must be a whole number from {least}')
        for name, taps in (('lcl_taps', self.taps), ('inter_taps', self.inter_taps)):
            if not taps and self.weights[name.split('_')[0]]:
                raise ConfigError(f'{owner}: {name} is empty; name at least one feature')
        cyclic = [f'lambda_{name}' for name in ('intra', 'inter', 'cycle') if self.weights[name]]
        if not self.two_way and cyclic:
            raise ConfigError(f'{owner}: {cyclic[0]} needs a cycle; set it to 0 or directions=2')
        if self.weights['intra'] and semantic_encoder is None:
            raise ConfigError(f"{owner}: lambda_intra needs a semantic_encoder, e.g. dict(type='CLIPVisual')")
        if inter_updates_d and not self.weights['inter']:
            raise ConfigError(f'{owner}: inter_updates_d needs a lambda_inter')
        if self.weights['lcl'] and not self.lcl_pairs:
            raise ConfigError(f'{owner}: lcl_pairs is empty; set lambda_lcl=0 to go without the location loss')
        known = tuple(DOMAIN) if self.two_way else ('rainy', 'clean', 'fake_clean', 'same_clean')
        for name in (name for pair in self.lcl_pairs for name in pair):
            if name not in known:
                raise ConfigError(f"{owner}: lcl_pairs: there is no picture '{name}'; {nearest(str(name), known)}")

    def _add_projectors(self, roles: dict[str, str], networks: dict[str, str], taps: tuple[str, ...]) -> None:
        backbone = getattr(self, networks['clean']).backbone
        backbone.check_taps(taps)
        for name in roles.values():
            setattr(self, name, ProjectionHead({tap: backbone.tap_channels[tap] for tap in taps}))

    # -- training state and record -------------------------------------------------------------------------------

    def training_state(self) -> dict:
        """Return the states of the random number generators and the contents of the image pools."""
        pools = {domain: [picture.cpu() for picture in pool.pictures] for domain, pool in self.pools.items()}
        return {**super().training_state(), 'pools': pools}

    def load_training_state(self, state: dict) -> None:
        """Restore the result of :meth:`training_state`."""
        super().load_training_state(state)
        for domain, pictures in state['pools'].items():
            self.pools[domain].pictures = list(pictures)

    # -- passes --------------------------------------------------------------------------------------------------

    def prepare(self, inputs: Inputs) -> dict:
        """Run all generator passes, and keep the features for the location loss."""
        prepared: dict = {'pictures': {role: self.to_range(inputs[key]) for role, key in
                                     (('rainy', 'lq'), ('clean', 'hq'))}, 'features': {}}  # fmt: skip
        self._translate(prepared, 'generator', 'rainy', 'fake_clean', 'clean', 'same_clean')
        if self.two_way:
            self._translate(prepared, 'rain_generator', 'clean', 'fake_rainy', 'rainy', 'same_rainy')
            if any(self.weights[name] for name in ('intra', 'inter', 'cycle')) or self._in_pairs('rec_'):
                self._translate(prepared, 'rain_generator', 'fake_clean', 'rec_rainy')
                self._translate(prepared, 'generator', 'fake_rainy', 'rec_clean')
        return prepared

    def _in_pairs(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for pair in self.lcl_pairs for name in pair)

    def _translate(
        self, prepared: dict, role: str, source: str, target: str, own: str | None = None, same: str | None = None
    ) -> None:
        """Run a generator on its source picture and, for the identity losses, on a picture of its target domain."""
        pictures, features = prepared['pictures'], prepared['features']
        names = {source: target}
        if own is not None and same is not None and (self.weights['idt'] or self._in_pairs('same_')):
            names[own] = same
        out = getattr(self, role)(torch.cat([pictures[name] for name in names]), taps=self.taps)
        parts = {key: value.chunk(len(names)) for key, value in out.items()}
        for i, (name, made) in enumerate(names.items()):
            pictures[made] = parts['picture'][i]
            if self.encoders[DOMAIN[name]] == role:
                features[name] = {tap: parts[tap][i] for tap in self.taps}

    def _encode(self, prepared: dict, names: list[str]) -> None:
        """Encode the pictures that no generator has taken, in one batch per encoder."""
        for role in dict.fromkeys(self.encoders.values()):
            absent = [n for n in names if n not in prepared['features'] and self.encoders[DOMAIN[n]] == role]
            if absent:
                batch = torch.cat([prepared['pictures'][name] for name in absent])
                out = getattr(self, role)(batch, taps=self.taps, only_taps=True)
                for tap, value in out.items():
                    for name, part in zip(absent, value.chunk(len(absent)), strict=True):
                        prepared['features'].setdefault(name, {})[tap] = part

    # -- losses --------------------------------------------------------------------------------------------------

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.losses`."""
        return self._discriminator_losses(prepared) if step == 'discriminator' else self._generator_losses(prepared)

    def _discriminator_losses(self, prepared: dict) -> dict[str, Tensor]:
        """Return the terms of eqs 9 and 10."""
        pictures, terms = prepared['pictures'], {}
        for domain, role in self.discriminators.items():
            network = getattr(self, role)
            fake = self.pools[domain].query(pictures[f'fake_{domain}'])
            on_real, on_fake = network(pictures[domain]), network(fake)
            terms[f'loss_d_{domain}'] = (
                self.adversarial(on_real['realness'], True) + self.adversarial(on_fake['realness'], False)
            ) / 2
            if self.inter_updates_d:
                terms[f'loss_d_inter_{domain}'] = self.weights['inter'] * self._inter(prepared, domain, detach=True)
        return terms

    def _generator_losses(self, prepared: dict) -> dict[str, Tensor]:
        """Return the terms of eq 11, and the mean colours of generated pictures, which reveal a collapse."""
        pictures, weights = prepared['pictures'], self.weights
        terms: dict[str, Any] = {}
        count = len(self.discriminators)
        on_fake = {
            domain: getattr(self, role)(pictures[f'fake_{domain}'], taps=self.inter_taps if weights['inter'] else ())
            for domain, role in self.discriminators.items()
        }
        terms['loss_adv'] = sum(self.adversarial(out['realness'], True) for out in on_fake.values()) / count  # eq 8
        if weights['idt']:
            each = [self.l1(pictures[f'same_{domain}'], pictures[domain]) for domain in self.discriminators]
            terms['loss_idt'] = weights['idt'] * sum(each) / count
        if weights['cycle']:
            each = [self.l1(pictures[f'rec_{domain}'], pictures[domain]) for domain in self.discriminators]
            terms['loss_cycle'] = weights['cycle'] * sum(each) / count
        if weights['lcl']:
            terms['loss_lcl'] = weights['lcl'] * self._location(prepared)
        if weights['intra']:
            terms['loss_intra'] = weights['intra'] * self._intra(pictures)
        if weights['inter']:
            each = [self._inter(prepared, domain, on_fake=out) for domain, out in on_fake.items()]
            terms['loss_inter'] = weights['inter'] * sum(each)  # eq 6
        for domain in self.discriminators:
            colour = self.from_range(pictures[f'fake_{domain}'].detach()).float().mean((0, 2, 3))
            terms.update({f'colour_{domain}_{name}': value for name, value in zip('rgb', colour, strict=True)})
        return terms

    def _positions(self, features: Features, count: int) -> dict[str, Tensor]:
        return {tap: draw_positions(x.shape[-2], x.shape[-1], count, self.rngs['draws']) for tap, x in features.items()}

    def _location(self, prepared: dict) -> Tensor:
        """Return eq 7, averaged over all pairs at the same positions."""
        queries = list(dict.fromkeys(query for query, _ in self.lcl_pairs))
        keys = list(dict.fromkeys(key for _, key in self.lcl_pairs if key not in queries))
        self._encode(prepared, queries)
        with torch.no_grad():
            self._encode(prepared, keys)
        features = prepared['features']
        positions = self._positions(features[queries[0]], self.counts['lcl'])
        embedded: dict[str, Features] = {}
        for names, trained in ((queries, True), (keys, False)):
            for role in dict.fromkeys(self.projectors[DOMAIN[name]] for name in names):
                group = [name for name in names if self.projectors[DOMAIN[name]] == role]
                vectors = {
                    tap: torch.cat([gather_positions(features[name][tap], at) for name in group])
                    for tap, at in positions.items()
                }
                with torch.set_grad_enabled(trained):
                    out = getattr(self, role)(vectors)
                for i, name in enumerate(group):
                    embedded[name] = {tap: value.chunk(len(group))[i] for tap, value in out.items()}
        each = [
            self.nce(embedded[query][tap], embedded[key][tap]) for query, key in self.lcl_pairs for tap in positions
        ]
        return torch.stack(each).mean()

    def _intra(self, pictures: dict[str, Tensor]) -> Tensor:
        """Return eqs 1 to 3; six pictures are encoded, the two anchors with gradient."""
        assert self.encoder is not None  # built if lambda_intra is not 0
        anchors, others = ('rec_rainy', 'rec_clean'), ('rainy', 'clean', 'fake_clean', 'fake_rainy')
        encoded: dict[str, Features] = {}
        for names, trained in ((anchors, True), (others, False)):
            with torch.set_grad_enabled(trained):
                out = self.encoder(torch.cat([self.from_range(pictures[name]) for name in names]))
            for i, name in enumerate(names):
                encoded[name] = {key: value.chunk(len(names))[i] for key, value in out.items()}
        shares = self.encoder.distance_weights
        first = self.intra(encoded['rec_rainy'], encoded['rainy'], encoded['clean'], encoded['fake_clean'], shares)
        second = self.intra(encoded['rec_clean'], encoded['clean'], encoded['rainy'], encoded['fake_rainy'], shares)
        return (first + second) / 2

    def _inter(self, prepared: dict, domain: str, on_fake: Features | None = None, detach: bool = False) -> Tensor:
        """Return eq 4 or 5: the domain's discriminator encodes F, R, I and the other domain's I.

        Args:
            prepared: result of :meth:`prepare`.
            domain: domain of the discriminator.
            on_fake: the discriminator's features of F if already computed.
            detach: detach the generated pictures; the discriminator is trained.
        """
        pictures, network = prepared['pictures'], getattr(self, self.discriminators[domain])
        names = [f'fake_{domain}', f'rec_{domain}', domain, 'rainy' if domain == 'clean' else 'clean']
        known = {} if on_fake is None else {names[0]: {tap: on_fake[tap] for tap in self.inter_taps}}
        # no gradient if neither the pictures nor the discriminator are trained
        for group, trained in ((names[:2], True), (names[2:], detach)):
            absent = [name for name in group if name not in known]
            with torch.set_grad_enabled(trained):
                batch = torch.cat([pictures[name].detach() if detach else pictures[name] for name in absent])
                out = network(batch, taps=self.inter_taps, only_taps=True)
            for i, name in enumerate(absent):
                known[name] = {tap: value.chunk(len(absent))[i] for tap, value in out.items()}
        positions = self._positions(known[names[0]], self.counts['inter'])
        vectors = {
            tap: torch.cat([gather_positions(known[name][tap], at) for name in names]) for tap, at in positions.items()
        }
        out = getattr(self, self.inter_projectors[domain])(vectors)
        return self.inter(*({tap: value.chunk(4)[i] for tap, value in out.items()} for i in range(4)))
