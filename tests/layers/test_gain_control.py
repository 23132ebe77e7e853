"""Gain control and its inverses: equal to the plain expression, memory for the backward pass, and float32."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.layers import gain_control
from restorebox.layers.gain_control import LEAST_BIAS, GainControl, check_inverse

C = 6


def gain(channels: int = C, seed: int = 0, dtype: torch.dtype = torch.float64, std: float = 0.3) -> GainControl:
    """One whose w and b are dense, with no symmetry that a transposed index could hide behind."""
    made = GainControl(channels).to(dtype)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.pool.root.copy_((std * torch.rand(channels, channels, dtype=dtype, generator=rng)).sqrt())
        made.offset.root.copy_((0.5 + torch.rand(channels, dtype=dtype, generator=rng)).sqrt())
    return made


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def plain(made: GainControl, x: torch.Tensor, inverse: bool = False) -> torch.Tensor:
    """Equation 4, or 7, sum by sum: w_ij weighs channel j in the pool of channel i."""
    rows = []
    for i in range(x.shape[1]):
        pooled = made.bias[i] + sum(made.weight[i, j] * x[:, j] ** 2 for j in range(x.shape[1]))
        rows.append(x[:, i] * pooled.sqrt() if inverse else x[:, i] / pooled.sqrt())
    return torch.stack(rows, 1)


@pytest.mark.parametrize('inverse', [False, True])
@pytest.mark.parametrize('shape', [(2, C, 5, 7), (1, C, 1, 1), (3, C, 64, 33)])
@pytest.mark.parametrize('chunk', [2**17, 64])
@pytest.mark.parametrize('kept', [0, 2**20])
def test_equal_to_the_plain_expression_forward_and_backward(inverse, shape, chunk, kept, monkeypatch):
    monkeypatch.setattr(gain_control, 'CHUNK', chunk)
    monkeypatch.setattr(gain_control, 'KEPT', kept)
    results = []
    for compute in (lambda m, x: m.multiply(x) if inverse else m(x), lambda m, x: plain(m, x, inverse)):
        made, x = gain(), numbers(*shape).requires_grad_()
        y = compute(made, x)
        (y * numbers(*shape, seed=1)).sum().backward()
        results.append((y, x.grad, made.pool.root.grad, made.offset.root.grad))
    for ours, wanted in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('inverse', [False, True])
def test_gradcheck(inverse, monkeypatch):
    monkeypatch.setattr(gain_control, 'CHUNK', 4 * C)  # several pieces a picture
    made = gain()

    def run(x, pool, offset):
        parameters = {'pool.root': pool, 'offset.root': offset}
        y = torch.func.functional_call(_Either(made, inverse), {f'made.{k}': v for k, v in parameters.items()}, (x,))
        return y

    x = numbers(2, C, 3, 2).requires_grad_()
    roots = [p.detach().clone().requires_grad_() for p in (made.pool.root, made.offset.root)]
    assert torch.autograd.gradcheck(run, (x, *roots))


class _Either(torch.nn.Module):
    def __init__(self, made: GainControl, inverse: bool) -> None:
        super().__init__()
        self.made, self.inverse = made, inverse

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.made.multiply(x) if self.inverse else self.made(x)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('strided', [False, True])
def test_layout_of_the_memory_makes_no_difference(memory_format, strided):
    made = gain()
    base = numbers(2, C, 8, 10)
    x = (base[..., ::2] if strided else base).to(memory_format=memory_format).requires_grad_()
    grad = numbers(*x.shape, seed=1).to(memory_format=memory_format)
    y = made(x)
    y.backward(grad)
    same = x.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    wanted = plain(made, same)
    wanted.backward(grad)
    torch.testing.assert_close(y, wanted)
    torch.testing.assert_close(x.grad, same.grad)


@pytest.mark.parametrize('inverse', [False, True])
@pytest.mark.parametrize('small', [False, True])
def test_keeps_its_input_and_if_it_is_small_the_pool_for_the_way_back(inverse, small, monkeypatch):
    monkeypatch.setattr(gain_control, 'KEPT', 2 * C * 32 * 32 - (not small))
    made = gain(dtype=torch.float32)
    x = numbers(2, C, 32, 32, dtype=torch.float32).requires_grad_()
    kept = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        _Either(made, inverse)(x)
    large = [tensor for tensor in kept if tensor.numel() >= x.numel()]
    assert large[0].data_ptr() == x.data_ptr()
    assert len(large) == 1 + small
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept.clear()
        plain(made, x, inverse)
    assert sum(tensor.numel() for tensor in kept) > 3 * x.numel(), 'the count would notice what is kept'


@pytest.mark.parametrize('inverse', [False, True])
@pytest.mark.parametrize('backward_inside', [False, True])
def test_float32_inside_autocast(inverse, backward_inside):
    results = []
    for enabled in (False, True):
        made = _Either(gain(16, dtype=torch.float32), inverse)
        x = numbers(2, 16, 12, 12, dtype=torch.float32).requires_grad_()
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            y = made(x)
            if backward_inside:
                y.square().sum().backward()
        if not backward_inside:
            y.square().sum().backward()
        assert y.dtype == torch.float32
        results.append((y, x.grad, made.made.pool.root.grad, made.made.offset.root.grad))
    for plainly, cast in zip(*results, strict=True):
        assert torch.equal(plainly, cast)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_in_and_out_and_float32_between(dtype):
    made = gain(dtype=torch.float32)
    x = (300 * numbers(2, C, 9, 9, dtype=torch.float32)).to(dtype).requires_grad_()
    assert not torch.isfinite((x.half() ** 2).sum()), 'the squares do overflow in float16'
    d = made(x)
    assert d.dtype == dtype
    torch.testing.assert_close(d, made(x.float()).to(dtype))
    d.float().sum().backward()
    assert x.grad.dtype == dtype
    for value in (d, x.grad, made.pool.root.grad, made.offset.root.grad, made.normaliser(x)):
        assert torch.isfinite(value).all()
    assert torch.isfinite(made.multiply(d)).all()


@pytest.mark.parametrize('inverse', [False, True])
def test_a_compiler_sees_the_same_numbers(inverse, monkeypatch):
    results = []
    for compiling in (False, True):
        monkeypatch.setattr(torch.compiler, 'is_compiling', lambda compiling=compiling: compiling)
        made = _Either(gain(), inverse)
        x = numbers(2, C, 5, 5).requires_grad_()
        y = made(x)
        y.square().sum().backward()
        results.append((y, x.grad, made.made.pool.root.grad, made.made.offset.root.grad))
    for ours, seen in zip(*results, strict=True):
        torch.testing.assert_close(ours, seen, rtol=1e-10, atol=1e-10)


def test_signs_oddness_and_bounds():
    made, x = gain(), 10 * numbers(2, C, 8, 8)
    d = made(x)
    assert torch.equal(d.sign(), x.sign())
    assert torch.equal(made(-x), -d)
    assert torch.equal(made.multiply(-x), -made.multiply(x))
    assert (d.abs() <= 1 / made.weight.diagonal().sqrt()[:, None, None]).all()


def test_without_a_pool_it_divides_by_the_root_of_b():
    made, x = gain(), numbers(2, C, 4, 4)
    made.pool.root.data.zero_()
    root = made.bias.sqrt()[:, None, None]
    assert (made.weight == 0).all()
    torch.testing.assert_close(made(x), x / root)
    torch.testing.assert_close(made.multiply(made(x)), x)


@pytest.mark.parametrize('std', [0.1, 1, 3])
def test_stored_and_solve_undo_it_and_equation_7_does_not(std):
    made = gain()
    s = std * numbers(2, C, 6, 6)
    d = made(s)
    torch.testing.assert_close(d * made.normaliser(s), s, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(made.solve(d), s, rtol=1e-9, atol=1e-9)
    error = (made.multiply(d) - s).norm() / s.norm()
    assert error > {0.1: 1e-5, 1: 0.05, 3: 0.3}[std]


@pytest.mark.parametrize(('std', 'low', 'high'), [(0.1, 0, 0.001), (1, 0.03, 0.07), (3, 0.25, 0.37)])
def test_size_of_the_error_of_equation_7(std, low, high):
    """With the initial w and b: below 0.1 %, 4.7 % and 31 %."""
    made = GainControl(32).double()
    s = std * numbers(1, 32, 40, 40)
    error = (made.multiply(made(s)) - s).norm() / s.norm()
    assert low < error < high


def test_solve_in_float32_and_at_zero():
    made = gain(dtype=torch.float32)
    s = numbers(2, C, 6, 6, dtype=torch.float32)
    s[:, :, 0] = 0
    d = made(s).detach().requires_grad_()
    back = made.solve(d)
    assert (back - s).abs().max() < 1e-5
    assert (back[:, :, 0] == 0).all()
    back.sum().backward()
    assert torch.isfinite(d.grad).all()


def test_parameters_stay_non_negative_under_large_steps():
    made = GainControl(C)
    rng = torch.Generator().manual_seed(0)
    optimiser = torch.optim.SGD(made.parameters(), lr=1)
    touched = 0
    for _ in range(100):
        optimiser.zero_grad()
        (made.weight.sum() + made.bias.sum()).backward()
        for p in made.parameters():
            p.grad = 10 * torch.randn(p.shape, generator=rng)
        optimiser.step()
        touched += int((made.pool.root < 0).any())
        assert (made.weight >= 0).all()
        assert (made.bias >= LEAST_BIAS * 0.999).all()
        assert torch.isfinite(made(torch.ones(1, C, 2, 2))).all()
    assert touched > 50, 'the steps were not large'


def test_a_parameter_below_its_bound_comes_back():
    """max passes no gradient there; ours does where the step leads up."""
    made = GainControl(C)
    made.pool.root.data.fill_(-1)
    (-made.weight.sum()).backward()  # a step down this slope makes w larger
    assert (made.pool.root.grad < 0).all()
    made.pool.root.grad = None
    made.weight.sum().backward()
    assert (made.pool.root.grad == 0).all()


def test_start():
    made = GainControl(C)
    torch.testing.assert_close(made.weight, 0.1 * torch.eye(C))
    torch.testing.assert_close(made.bias, torch.ones(C))
    assert sum(p.numel() for p in made.parameters()) == C * C + C
    pooled = GainControl(C, 'pooled')
    torch.testing.assert_close(pooled.weight, torch.full((C, C), 1 / C))
    torch.testing.assert_close(pooled.bias, torch.full((C,), 0.01))
    with pytest.raises(ConfigError, match="start is 'pool'; did you mean 'pooled'"):
        GainControl(C, 'pool')


def test_variation_is_that_of_the_divisor():
    """Two pixels with squares 0 and 1 in the pool: divisors 1 and sqrt(2)."""
    made = GainControl(2)
    made.pool.root.data = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    x = torch.tensor([0.0, 1.0, 5.0, 7.0]).view(1, 2, 1, 2)
    first = (2**0.5 - 1) / (2**0.5 + 1)  # half the distance / the mean
    torch.testing.assert_close(made.variation(x), torch.tensor(first / 2), atol=1e-5, rtol=0)


def test_the_pooled_start_acts_at_the_paper_size_and_the_own_start_does_not():
    """Features of an image in [0, 1] with a standard deviation of 0.2, as behind FDR-Net's first convolution."""
    x = 0.2 * numbers(2, 32, 32, 32, dtype=torch.float32)
    assert GainControl(32).variation(x) < 0.01
    assert GainControl(32, 'pooled').variation(x) > 0.05


def test_unknown_inverses_are_refused():
    with pytest.raises(ConfigError, match="AggregateLayer: inverse is 'exact'"):
        check_inverse('exact', 'AggregateLayer')
