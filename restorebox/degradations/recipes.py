"""Recipes by name: what to write in a config or on a command line instead of a dict."""

from __future__ import annotations

from copy import deepcopy

from restorebox.errors import ConfigError
from restorebox.registry import nearest

# Streaks alone, of the three densities of DID-MDN (Zhang and Patel, CVPR 2018), whose streaks are of smeared noise too.
DID_RAIN = {
    'type': 'HeavyRain',
    'beta': (0, 0),
    'softness': False,
    'length': (5, 32),
    'angles': (-30, -25, -20, -15, -10, -5, 0, 5, 10, 15, 20, 25, 30),
    'brightness': (0.15, 2.2),
}

RECIPES: dict[str, dict] = {
    # rain alone
    'line_rain': {'type': 'LineRain'},
    'light_rain': {'type': 'TemplateRain'},
    'rain100l': {
        'type': 'TemplateRain',
        'density': (0.002, 0.005),
        'length': (25, 50),
        'width': (0.5, 0.9),
        'spread': (0.5, 2),
        'brightness': (0.4, 0.7),
    },
    'did_rain': DID_RAIN,
    'rain100h': {
        'type': 'TemplateRain',
        'directions': (2, 5),
        'density': (0.01, 0.02),
        'length': (30, 80),
        'width': (0.5, 0.9),
        'angle': (-45, 45),
        'brightness': (0.4, 0.8),
    },
    # rain and what it does to the air
    'heavy_rain': {'type': 'HeavyRain', 'brightness': (0.7, 1.2)},  # wide enough to cover published pairs of heavy rain
    'outdoor_rain': {'type': 'HeavyRain'},  # with its authors' numbers only
    'rain_fog': {'type': 'RainFog'},
    'haze': {'type': 'Veil'},
    'veil': {'type': 'Veil', 'beta': (3, 4.2), 'airlight': (0.3, 0.9), 'tint': (0, 0)},  # that of 'heavy_rain' alone
    'snow': {'type': 'Snow'},
    # the camera and the file
    'noise': {'type': 'GaussianNoise'},
    'grey_noise': {'type': 'GreyNoise', 'sigma': (1, 25)},
    'poisson': {'type': 'PoissonNoise'},
    'blur': {'type': 'GaussianBlur'},
    'motion_blur': {'type': 'MotionBlur'},
    'jpeg': {'type': 'JPEG'},
    # mixtures
    'mild': {'type': 'HybridDistortion', 'severity': 'mild'},
    'moderate': {'type': 'HybridDistortion', 'severity': 'moderate'},
    'severe': {'type': 'HybridDistortion', 'severity': 'severe'},
    # DID-HY of FDR-Net (Li et al., ECCV 2020) gives no levels: the moderate ones here
    'did_hy': {'type': 'Compose', 'recipes': [DID_RAIN, {'type': 'HybridDistortion', 'severity': 'moderate'}]},
}

# name -> what a list of recipes says about it
ABOUT = {
    'line_rain': 'sparse bright lines of one direction',
    'light_rain': 'streaks of one direction, from sparse to dense',
    'rain100l': 'few streaks of one direction, as in Rain100L',
    'did_rain': 'streaks of the three densities of DID-MDN',
    'rain100h': 'many streaks of two to five directions, as in Rain100H',
    'heavy_rain': 'dense streaks and their veil',
    'outdoor_rain': "heavy rain with the numbers of Outdoor-Rain's renderer alone",
    'rain_fog': 'streaks that hide the near, fog that hides the far, as in RainCityscapes',
    'haze': 'haze as in RESIDE',
    'veil': 'the veil of heavy rain alone',
    'snow': 'flakes at three distances, the near ones out of focus',
    'noise': 'Gaussian noise in each channel',
    'grey_noise': 'Gaussian noise, the same in all channels',
    'poisson': 'noise of photons',
    'blur': 'out of focus',
    'motion_blur': 'a shaken camera',
    'jpeg': 'compression with halved chroma',
    'mild': 'blur, noise and JPEG together, the easy band of RL-Restore',
    'moderate': 'blur, noise and JPEG together, the middle band, which papers train on',
    'severe': 'blur, noise and JPEG together, the hard band',
    'did_hy': "'did_rain', then 'moderate'",
}


def named_recipe(name: str) -> dict:
    """The config of a recipe, a copy of its own.

    Raises:
        ConfigError: no recipe of that name; names the nearest.
    """
    if name not in RECIPES:
        raise ConfigError(f"no recipe is called '{name}'; {nearest(name, [*RECIPES])}")
    return deepcopy(RECIPES[name])
