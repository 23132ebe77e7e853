"""Heavy rain: dense streaks and the veil of distant, unresolved streaks, as in Outdoor-Rain.

Li, Cheong and Tan, 'Heavy Rain Image Restoration: Integrating Physics Model and Conditional Adversarial Learning'
(CVPR 2019): I = T (J + S) + (1 - T) A with T = exp(-beta d). The parameters are those of the authors' renderer; the
streaks are not copied from a data set but generated from clipped noise with motion blur.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import as_range, as_whole_range, draw_seed
from restorebox.degradations.depth import DepthSource
from restorebox.degradations.lines import motion_kernel
from restorebox.degradations.weather import Weather, by_channel, constant_airlight
from restorebox.errors import ConfigError
from restorebox.registry import DEGRADATIONS

LENGTHS = (21, 60)  # pixels
ANGLES = (-10, -5, 0, 5, 10)  # degrees from vertical
DEPTH_BLUR = 5.0  # standard deviation in pixels


@DEGRADATIONS.register_module()
class HeavyRain(Weather):
    """I = T (J + S) + (1 - T) A.

    .. code-block:: text

        noise -> enlarge -> motion blur -> * gain -> S  J is the softened clean picture, and S is limited to 1 - J
        depth -> blur -> T = exp(-beta d)               (Li et al. store S as the clipped sum minus the picture)

    The returned 'streak' is this S, so the equation holds for the rendered picture up to rounding.

    Args:
        beta: scattering coefficient per relative depth; (3, 4.2) in the authors' training set, (2.6, 4.6) in their
            validation set.
        airlight: A, grey; (0.3, 0.9) in the training set, (0.25, 0.95) in the validation set.
        length: range of the streak length in pixels, integers.
        angles: possible angles in degrees from vertical, positive leaning to the right at the top.
        brightness: range of a factor on the streaks' gain.
        softness: whether the scene is first blurred by a Gaussian with standard deviation min(1, abs(n)) in pixels,
            n ~ N(0.5, 0.5^2).
        depth: 'field' or the folder of a depth network, see :class:`~restorebox.degradations.depth.DepthSource`.
    """

    strength = 'beta'
    depth: DepthSource

    def __init__(
        self,
        beta: Sequence[float] = (3, 4.2),
        airlight: Sequence[float] = (0.3, 0.9),
        length: Sequence[int] = LENGTHS,
        angles: Sequence[float] = ANGLES,
        brightness: Sequence[float] = (1, 1),
        softness: bool = True,
        depth: str = 'field',
    ) -> None:
        self.ranges = {
            'beta': as_range(beta, 'HeavyRain: beta', 0, 100),
            'airlight': as_range(airlight, 'HeavyRain: airlight', 0, 1),
        }
        self.length = as_whole_range(length, 'HeavyRain: length', 1, 1000)
        self.angles = as_angles(angles, 'HeavyRain: angles')
        self.brightness = as_range(brightness, 'HeavyRain: brightness', 0, 100)
        self.softness = softness
        self.depth = DepthSource(depth)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        """Draw the veil, the depth's record, 'softness' in pixels and the record 'rain' of :func:`noise_streaks`."""
        drawn = super().sample(rng, shape)
        softness = min(1.0, abs(float(rng.normal(0.5, 0.5))))
        drawn['softness'] = softness if self.softness else 0.0
        drawn['rain'] = draw_noise_streaks(rng, self.length, self.angles)
        drawn['rain']['gain'] *= float(rng.uniform(*self.brightness))
        return drawn

    def scene(self, clear: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
        """Return the softened picture, HWC float32 in [0, 1]."""
        sigma = parameters['softness']
        return clear if sigma < 0.01 else cv2.GaussianBlur(clear, (0, 0), sigma).reshape(clear.shape)

    def layers(
        self, scene: np.ndarray, parameters: dict[str, Any], depth: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Return 'streak' HxWx3, 'transmission' HxWx1, 'airlight' HxWx3 and 'depth' HxWx1, float32 in [0, 1]."""
        distance = self.depth.render(scene, parameters['depth'], depth)
        if depth is not None:  # a veil has softer edges than a measured depth
            distance = cv2.GaussianBlur(distance, (0, 0), DEPTH_BLUR).reshape(distance.shape)
        streak = noise_streaks(scene.shape[:2], parameters['rain'])[..., None]
        room = 1 - scene
        return {
            'streak': by_channel(np.minimum, room, streak, room),
            'transmission': np.exp(-np.float32(parameters['beta']) * distance),
            'airlight': constant_airlight(scene.shape, parameters['airlight']),
            'depth': distance,
        }


def as_angles(value: Sequence[float], name: str) -> list[float]:
    """Validate a constructor argument that is a list of angles, and return it as floats.

    Raises:
        ConfigError: the list is empty, or an angle is outside [-90, 90] degrees.
    """
    listed = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not listed or not all(isinstance(a, (int, float)) and -90 <= a <= 90 for a in listed):
        raise ConfigError(f'{name} is a list of degrees within [-90, 90]; it is {value!r}')
    return [float(angle) for angle in listed]


def draw_noise_streaks(
    rng: np.random.Generator, length: tuple[int, int] = LENGTHS, angles: Sequence[float] = ANGLES
) -> dict[str, Any]:
    """Draw a record for :func:`noise_streaks` from the distributions of Li et al.

    With u uniform in [0, 1), drawn separately each time: mean -4 (0.2 + 0.05 u), variance 0.7 + 0.3 u,
    scale 1.01 + 0.2 u, an integer length in ``length``, one of ``angles``, and gain 0.2 + 0.04 length + 0.05 u.
    """
    mean, variance, scale, gain = -4 * (0.2 + 0.05 * rng.random()), 0.7 + 0.3 * rng.random(), rng.random(), rng.random()
    pixels = int(rng.integers(*length, endpoint=True))
    return {
        'mean': float(mean),
        'variance': float(variance),
        'scale': float(1.01 + 0.2 * scale),
        'length': pixels,
        'angle': float(angles[int(rng.integers(len(angles)))]),
        'gain': float(0.2 + 0.04 * pixels + 0.05 * gain),
        'seed': draw_seed(rng),
    }


def noise_streaks(size: tuple[int, int], record: dict[str, Any]) -> np.ndarray:
    """Render streaks from clipped Gaussian noise with motion blur along the falling direction.

    Args:
        size: (height, width) in pixels.
        record: 'mean' and 'variance' of the noise, which is clipped to [0, 1]; 'scale' by which it is enlarged;
            'length' in pixels and 'angle' in degrees from vertical of the motion blur; 'gain'; 'seed'.

    Returns:
        HW float32 >= 0, without upper bound.
    """
    rng = np.random.default_rng(record['seed'])
    kernel = motion_kernel(record['length'], record['angle'])
    margin = kernel.shape[0] // 2  # noise around the picture, so that the rain is equally dense at its borders
    padded = [side + 2 * margin for side in size]
    small = [int(np.ceil(side / record['scale'])) + 1 for side in padded]
    noise = rng.standard_normal(small, dtype=np.float32)
    noise *= np.float32(record['variance'] ** 0.5)
    noise += np.float32(record['mean'])
    np.clip(noise, 0, 1, out=noise)
    # Unlike the authors' code, take a fixed window of the enlarged noise: all windows have the same statistics.
    large = cv2.resize(noise, None, fx=record['scale'], fy=record['scale'], interpolation=cv2.INTER_CUBIC)
    kernel = kernel[:, kernel.any(axis=0)]
    unused = margin - kernel.shape[1] // 2  # columns of noise that the narrow kernel doesn't reach
    streaks = _correlate(large[: padded[0], unused : padded[1] - unused], kernel)
    np.maximum(streaks, 0, out=streaks)
    streaks *= np.float32(record['gain'])
    return streaks


def _correlate(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Correlate HW float32 with a kernel where all of the kernel is inside; the result is smaller.

    ``cv2.filter2D`` takes 2.7 times as long for a picture of 256x256; the results differ by rounding.
    """
    from scipy import fft  # here: importing it takes longer than rendering a picture

    height, width = (a - b + 1 for a, b in zip(picture.shape, kernel.shape, strict=True))
    # what the cyclic correlation wraps around falls on the rows and columns that are cut off
    size = [fft.next_fast_len(side, real=True) for side in picture.shape]
    product = fft.rfft2(picture, size)
    product *= np.conj(fft.rfft2(kernel, size))
    return fft.irfft2(product, size)[:height, :width]
