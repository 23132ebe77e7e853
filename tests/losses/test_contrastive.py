"""Contrastive losses of CCLGAN: values, invariances and gradients of the formulas."""

import math

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.losses.contrastive import InterContrastiveLoss, IntraContrastiveLoss, PatchNCELoss

P, TAU = 256, 0.07
ONE = {'embedding': 1.0}


def vectors(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def orthonormal():
    return torch.eye(P, dtype=torch.float64)[None]  # 1.59e-4 is the difference of two numbers near 14


class TestPatchNCE:
    def test_equal_vectors_give_the_logarithm_of_their_number(self):
        same = torch.ones(2, P, 8)
        assert PatchNCELoss(TAU)(same, same).item() == pytest.approx(math.log(P), abs=1e-5)
        assert math.log(P) == pytest.approx(5.5452, abs=1e-4)

    def test_orthonormal_features(self):
        q = orthonormal()
        value = PatchNCELoss(TAU)(q, q).item()
        assert value == pytest.approx(math.log(1 + (P - 1) * math.exp(-1 / TAU)), rel=1e-3)
        assert value == pytest.approx(1.59e-4, rel=1e-2)
        assert PatchNCELoss(TAU)(q, q.roll(1, dims=1)).item() == pytest.approx(1 / TAU, abs=0.01)

    def test_scale_and_a_common_permutation_change_nothing(self):
        q, k = vectors(0, 2, P, 16), vectors(1, 2, P, 16)
        value = PatchNCELoss()(q, k)
        torch.testing.assert_close(PatchNCELoss()(3 * q, k), value)
        torch.testing.assert_close(PatchNCELoss()(q, 0.2 * k), value)
        order = torch.randperm(P, generator=torch.Generator().manual_seed(2))
        torch.testing.assert_close(PatchNCELoss()(q[:, order], k[:, order]), value)
        assert not torch.allclose(PatchNCELoss()(q[:, order], k), value)

    def test_no_gradient_flows_to_the_keys(self):
        q, k = vectors(0, 1, 8, 4).requires_grad_(), vectors(1, 1, 8, 4).requires_grad_()
        PatchNCELoss()(q, k).backward()
        assert q.grad.abs().sum() > 0
        assert k.grad is None

    def test_a_vector_without_direction_has_no_gradient_and_harms_no_other(self):
        q, k = vectors(0, 1, 8, 4), vectors(1, 1, 8, 4)
        q[:, 3] = 0
        q.requires_grad_()
        PatchNCELoss()(q, k).backward()
        assert torch.isfinite(q.grad).all()
        assert q.grad[0, 3].abs().max() == 0
        assert q.grad.abs().max() < 10

    def test_against_the_formula(self):
        q, k = (torch.nn.functional.normalize(vectors(s, 2, 5, 3), dim=-1) for s in (0, 1))
        total = 0.0
        for n in range(2):
            for p in range(5):
                like = [math.exp(float(q[n, p] @ k[n, j]) / 0.1) for j in range(5)]
                total -= math.log(like[p] / sum(like))
        assert PatchNCELoss(0.1)(q, k).item() == pytest.approx(total / 10, rel=1e-5)

    def test_a_temperature_of_nothing_is_refused(self):
        with pytest.raises(ConfigError, match='positive'):
            PatchNCELoss(temperature=0)


def phi(seed, n=3):
    return {'embedding': vectors(seed, n, 512)}


def scaled(features, factor):
    return {key: factor * value for key, value in features.items()}


class TestIntra:
    def test_it_is_zero_where_the_reconstruction_is_its_source(self):
        assert IntraContrastiveLoss()(phi(0), phi(0), phi(1), phi(2), ONE).item() == 0

    def test_the_formula_with_mu(self):
        r, i, o, f = (phi(s, 1) for s in range(4))
        d = {k: (r['embedding'] - x['embedding']).abs().mean().item() for k, x in dict(i=i, o=o, f=f).items()}
        value = IntraContrastiveLoss(mu=0.1)(r, i, o, f, ONE).item()
        assert value == pytest.approx(d['i'] / (d['o'] + 0.1 * d['f']), rel=1e-5)

    def test_a_common_scale_changes_nothing(self):
        a = [phi(s) for s in range(4)]
        torch.testing.assert_close(
            IntraContrastiveLoss()(*a, ONE), IntraContrastiveLoss()(*(scaled(x, 7.0) for x in a), ONE)
        )

    def test_real_negatives_ignore_the_generated_and_fake_ones_the_real(self):
        r, i, o, f, other = (phi(s) for s in range(5))
        real, fake = IntraContrastiveLoss(negatives='real'), IntraContrastiveLoss(negatives='fake')
        assert torch.equal(real(r, i, o, f, ONE), real(r, i, o, other, ONE))
        assert torch.equal(real(r, i, o, f, ONE), IntraContrastiveLoss(mu=0)(r, i, o, f, ONE))
        assert torch.equal(fake(r, i, o, f, ONE), fake(r, i, other, f, ONE))
        assert not torch.equal(real(r, i, o, f, ONE), real(r, i, other, f, ONE))

    def test_only_the_anchor_has_a_gradient(self):
        each = [{'embedding': vectors(s, 2, 8).requires_grad_()} for s in range(4)]
        IntraContrastiveLoss()(*each, ONE).backward()
        assert each[0]['embedding'].grad.abs().sum() > 0
        assert all(x['embedding'].grad is None for x in each[1:])

    def test_a_batch_gives_the_mean_of_its_pictures(self):
        each = [phi(s, 2) for s in range(4)]
        alone = [IntraContrastiveLoss()(*({'embedding': x['embedding'][n : n + 1]} for x in each), ONE) for n in (0, 1)]
        torch.testing.assert_close(IntraContrastiveLoss()(*each, ONE), (alone[0] + alone[1]) / 2)


def levels(seed, n=2):
    return {'input': vectors(seed, n, 6, 4), 'conv2': vectors(seed + 10, n, 6, 4), 'conv3': vectors(seed + 20, n, 6, 4)}


def between(a, b, t):
    return {key: (1 - t) * a[key] + t * b[key] for key in a}


class TestInter:
    def test_it_is_zero_where_all_of_a_domain_look_alike(self):
        assert InterContrastiveLoss()(levels(0), levels(0), levels(0), levels(1)).item() == 0

    def test_it_falls_as_the_generated_picture_nears_the_real_one(self):
        real, other, rec = levels(0), levels(1), levels(2)
        values = [
            InterContrastiveLoss()(between(other, real, t), rec, real, other).item() for t in (0, 0.25, 0.5, 0.75, 1)
        ]
        assert values == sorted(values, reverse=True)
        assert values[0] > 1.5 * values[-1]

    def test_the_formula_with_nu(self):
        f, r, i, o = (levels(s, 1) for s in range(4))

        def d(a, b, level):
            return (a[level] - b[level]).abs().mean().item()

        wanted = sum((d(f, i, k) + d(r, i, k) + 0.2 * d(f, r, k)) / (d(f, o, k) + d(r, o, k) + 1e-7) for k in f)
        assert InterContrastiveLoss(nu=0.2)(f, r, i, o).item() == pytest.approx(wanted / 2, rel=1e-5)

    def test_one_kind_of_positives(self):
        f, r, i, o, x = (levels(s) for s in range(5))
        fake = InterContrastiveLoss(positives='fake')
        assert torch.equal(fake(f, r, i, o), fake(f, r, x, o))
        real = InterContrastiveLoss(positives='real')
        assert torch.equal(real(f, r, i, o), InterContrastiveLoss(nu=0)(f, r, i, o))

    @pytest.mark.parametrize('loss', [IntraContrastiveLoss, InterContrastiveLoss])
    def test_other_kinds_are_refused(self, loss):
        key = 'negatives' if loss is IntraContrastiveLoss else 'positives'
        with pytest.raises(ConfigError, match=f"{key} is 'fakes'; did you mean 'fake'"):
            loss(**{key: 'fakes'})
