"""Detection of out-of-memory errors of all libraries."""

import errno

import cv2
import numpy as np
import pytest
import torch

from restorebox.errors import PictureError, out_of_memory


def raised(work):
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError('nothing was raised')


def chained(first):
    try:
        try:
            raise first
        except Exception:
            raise PictureError('a.png: is damaged') from None
    except PictureError as error:
        return error


@pytest.mark.parametrize(
    'error',
    [
        raised(lambda: torch.empty(2**60)),
        raised(lambda: np.empty(2**55, np.uint8)),
        raised(lambda: bytearray(2**62)),
        MemoryError(),
        torch.OutOfMemoryError('CUDA'),
        RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`'),
        RuntimeError('std::bad_alloc'),
        cv2.error('OpenCV(4.9) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes'),
        OSError('out of memory error when reading image file'),
        OSError(errno.ENOMEM, 'Cannot allocate memory', 'a.png'),
        RuntimeError("can't start new thread"),
        RuntimeError('could not create a primitive'),
        OSError('codec configuration error when writing image file'),
        RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. '),
    ],
)
def test_a_lack_of_memory(error):
    assert out_of_memory(error)
    assert out_of_memory(chained(error))


@pytest.mark.parametrize(
    'error',
    [
        PictureError('out of memory.png: is damaged'),
        FileNotFoundError(errno.ENOENT, 'No such file or directory', 'out of memory.png'),
        ValueError('negative dimensions are not allowed'),
        RuntimeError('mat1 and mat2 shapes cannot be multiplied'),
        OSError(errno.ENOSPC, 'No space left on device'),
    ],
)
def test_anything_else(error):
    assert not out_of_memory(error)
    assert not out_of_memory(chained(error))
