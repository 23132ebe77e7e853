"""A texture for tests of moving pictures."""

import cv2
import numpy as np


def texture(height, width, seed=0):
    """A random picture with structures of several pixels, HWC float32 in [0, 1]."""
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return ((smooth - 0.5) * 4 + 0.5).clip(0, 1)
