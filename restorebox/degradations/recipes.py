"""Recipes by name: what to write in a config or on a command line instead of a dict."""

from __future__ import annotations

from copy import deepcopy

from restorebox.errors import ConfigError
from restorebox.registry import nearest

# Streaks of the densities of DID-MDN (Zhang and Patel, CVPR 2018): light, medium and heavy.
DID_RAIN = {
    'type': 'TemplateRain',
    'density': (0.006, 0.03),
    'length': (12, 40),
    'width': (0.6, 0.9),
    'brightness': (0.15, 0.45),
}

RECIPES: dict[str, dict] = {
    # rain alone
    'line_rain': {'type': 'LineRain'},
    'light_rain': {'type': 'TemplateRain'},
    'rain100l': {'type': 'TemplateRain', 'density': (0.002, 0.004), 'length': (20, 40), 'brightness': (0.3, 0.6)},
    'rain100h': {
        'type': 'TemplateRain',
        'directions': (2, 5),
        'density': (0.01, 0.02),
        'length': (20, 60),
        'width': (0.7, 1.4),
        'angle': (-45, 45),
        'brightness': (0.4, 0.8),
    },
    # rain and what it does to the air
    'heavy_rain': {'type': 'HeavyRain'},
    'rain_fog': {'type': 'RainFog'},
    'haze': {'type': 'Veil'},
    'veil': {'type': 'Veil', 'beta': (3, 4.2), 'airlight': (0.3, 0.9), 'tint': (0, 0)},  # that of 'heavy_rain' alone
    'snow': {'type': 'Snow'},
    # the camera and the file
    'noise': {'type': 'GaussianNoise'},
    'grey_noise': {'type': 'GreyNoise'},
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


def named_recipe(name: str) -> dict:
    """The config of a recipe, a copy of its own.

    Raises:
        ConfigError: no recipe of that name; names the nearest.
    """
    if name not in RECIPES:
        raise ConfigError(f"no recipe is called '{name}'; {nearest(name, [*RECIPES])}")
    return deepcopy(RECIPES[name])
