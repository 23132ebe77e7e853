"""Rounding of arrays and tensors of every bit depth."""

import numpy as np
import pytest
import torch

from restorebox.pixels import to_array, to_float, to_tensor, to_uint8, to_uint16, unit_range, whole_numbers, writeable

# value of 255 or 65535 -> what it is rounded to
TIES = {0.0: 0, 0.5: 0, 0.500001: 1, 1.5: 2, 2.5: 2, 3.4999: 3, 126.5: 126, 127.5: 128}


@pytest.mark.parametrize('white', [255, 65535])
def test_a_half_goes_to_the_even_number(white):
    values = np.array(list(TIES)) / white
    exact = np.array([value * white for value in values]) == np.array(list(TIES))  # division may move a tie
    assert exact.sum() >= 6
    expected = np.array(list(TIES.values()), float)
    for found in (whole_numbers(values, white), whole_numbers(torch.from_numpy(values), white).numpy()):
        np.testing.assert_array_equal(found[exact], expected[exact])
    cast = to_uint8 if white == 255 else to_uint16
    np.testing.assert_array_equal(cast(values)[exact], expected[exact])


def test_arrays_and_tensors_are_rounded_alike():
    values = np.random.default_rng(0).uniform(-0.2, 1.2, (40, 50, 3)).astype(np.float32)
    values.flat[: len(range(0, 255))] = (np.arange(255) + np.float32(0.5)) / np.float32(255)
    tensor = torch.from_numpy(values).permute(2, 0, 1)
    np.testing.assert_array_equal(to_array(tensor, np.uint8), to_uint8(values))
    np.testing.assert_array_equal(to_array(tensor, np.uint16), to_uint16(values))
    np.testing.assert_array_equal(to_array(tensor, np.float64), values.astype(np.float64))


@pytest.mark.parametrize('kind', [np.float32, np.float64])
def test_values_are_clipped_and_nan_is_black(kind, recwarn):
    values = np.array([[[-1, -np.inf, np.nan], [2, np.inf, 1]]], kind)
    expected = [[[0, 0, 0], [1, 1, 1]]]
    for white, cast in ((255, to_uint8), (65535, to_uint16)):
        np.testing.assert_array_equal(cast(values), np.array(expected) * white)
        found = to_array(torch.from_numpy(values).permute(2, 0, 1), cast(values).dtype)
        np.testing.assert_array_equal(found, np.array(expected) * white)
    assert not recwarn.list
    assert np.isnan(whole_numbers(values)).sum() == 1, 'scores have to see it'


def test_the_input_is_left_alone():
    values = np.float32([[[0.3, 1.7, np.nan]]])
    tensor = torch.from_numpy(values.copy()).permute(2, 0, 1)
    before, kept = values.copy(), tensor.clone()
    to_uint8(values), to_uint16(values), whole_numbers(values), to_array(tensor, np.uint8), whole_numbers(tensor)
    np.testing.assert_array_equal(values, before)
    assert torch.equal(tensor.nan_to_num(), kept.nan_to_num())


@pytest.mark.parametrize('bits', [8, 10, 12, 16])
def test_every_value_of_a_deep_picture_comes_back(bits):
    largest = 2**bits - 1
    values = np.arange(2**bits)
    unit = (values / largest).astype(np.float32)  # as the decoder gives them
    stored = to_uint16(unit)
    assert np.abs(stored - values * (65535 / largest)).max() <= 0.51  # single precision moves a near tie
    np.testing.assert_array_equal(np.rint(to_float(stored) * largest), values)
    again = to_array(to_tensor(stored[None, :, None])[0], np.uint16)
    np.testing.assert_array_equal(again[0, :, 0], stored)


def test_8_bits_and_16_bits_of_a_picture_are_one():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_uint16(values)), values)
    np.testing.assert_array_equal(to_uint8(to_float(values)), values)
    np.testing.assert_array_equal(to_float(to_uint16(values)), to_float(values))
    all16 = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(to_uint8(all16), (all16.astype(int) + 128) // 257)  # no value lies between two
    assert to_uint8(values) is values
    assert to_uint16(all16) is all16


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32, np.float64])
def test_tensors_have_channels_first_and_float32(kind):
    picture = np.random.default_rng(0).integers(0, 255, (3, 5, 4)).astype(kind)
    if kind in (np.float32, np.float64):
        picture /= 255
    for given in (picture, picture[:, ::-1]):  # a view that is not contiguous
        x = to_tensor(given)
        assert x.shape == (1, 4, 3, 5)
        assert x.dtype == torch.float32
        np.testing.assert_array_equal(x[0].permute(1, 2, 0).numpy(), to_float(given))
        assert to_array(x[0], kind).dtype == kind


def test_tensors_of_bytes_become_floats_in_the_unit_range():
    assert torch.equal(unit_range(torch.tensor([0, 51, 255], dtype=torch.uint8)), torch.tensor([0.0, 0.2, 1.0]))
    floats = torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert unit_range(floats) is floats


def test_floats_are_contiguous():
    np.testing.assert_array_equal(to_float(np.uint8([[0, 51, 255]])), np.float32([[0, 0.2, 1]]))
    turned = to_float(np.zeros((4, 5, 3), np.float32)[:, ::-1])
    assert turned.flags['C_CONTIGUOUS']
    assert to_float(np.zeros((4, 5, 3), np.uint8)[:, ::-1], np.float64).dtype == np.float64


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('shape', [(4, 5, 3), (1, 5, 3), (4, 1, 3), (1, 1, 3)])
def test_views_of_any_strides_become_tensors(kind, shape):
    """NumPy calls an array with a negative stride along an axis of length 1 contiguous; PyTorch refuses it."""
    picture = np.arange(np.prod(shape), dtype=kind).reshape(shape)
    if kind is np.float32:
        picture /= picture.max()
    for view in (picture[::-1], picture[:, ::-1], picture[..., ::-1], picture[::-1, ::-1], picture.T.copy().T):
        expected = torch.from_numpy(np.array(to_float(view))).permute(2, 0, 1)[None]
        torch.testing.assert_close(to_tensor(view), expected)


@pytest.mark.parametrize('kind', ['>u2', '<u2', '>f4', '<f4'])
def test_any_byte_order(kind):
    picture = np.arange(24, dtype=kind).reshape(2, 4, 3) / (1 if kind[1] == 'u' else 24)
    picture = picture.astype(kind)
    torch.testing.assert_close(to_tensor(picture), to_tensor(picture.astype(kind[1:])))
    assert torch.from_numpy(writeable(picture)).shape == (2, 4, 3)


def test_writeable_copies_only_what_it_must():
    picture = np.zeros((2, 3, 3), np.uint8)
    assert writeable(picture) is picture
    picture.flags.writeable = False
    assert writeable(picture).flags.writeable
