"""Named degradation recipes for configs and the command line."""

from __future__ import annotations

from copy import deepcopy

from restorebox.errors import ConfigError
from restorebox.registry import nearest

# Streaks without veil in the three densities of DID-MDN (Zhang and Patel, CVPR 2018), also motion-blurred noise.
DID_RAIN = {
    'type': 'HeavyRain',
    'beta': (0, 0),
    'softness': False,
    'length': (5, 32),
    'angles': (-30, -25, -20, -15, -10, -5, 0, 5, 10, 15, 20, 25, 30),
    'brightness': (0.15, 2.2),
}

RECIPES: dict[str, dict] = {
    # rain only
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
    'screen_rain': {'type': 'NoiseRain'},
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
    # rain with veil or fog, haze, snow
    'heavy_rain': {'type': 'HeavyRain', 'brightness': (0.7, 1.2)},  # covers published heavy-rain pairs
    'outdoor_rain': {'type': 'HeavyRain'},  # the authors' parameters of the training set
    'outdoor_rain_val': {'type': 'HeavyRain', 'beta': (2.6, 4.6), 'airlight': (0.25, 0.95)},  # and of Test 1
    'rain_fog': {'type': 'RainFog'},
    'haze': {'type': 'Veil'},
    'veil': {'type': 'Veil', 'beta': (3, 4.2), 'airlight': (0.3, 0.9), 'tint': (0, 0)},  # the veil of 'heavy_rain'
    'snow': {'type': 'Snow'},
    # camera and file format
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
    # FDR-Net (Li et al., ECCV 2020) does not publish the distortion levels of DID-HY: moderate ones are used here
    'did_hy': {'type': 'Compose', 'recipes': [DID_RAIN, {'type': 'HybridDistortion', 'severity': 'moderate'}]},
}

# recipe name -> description in the list of recipes
ABOUT = {
    'line_rain': 'sparse bright lines of one direction',
    'light_rain': 'streaks of one direction, from sparse to dense',
    'rain100l': 'few streaks of one direction, as in Rain100L',
    'screen_rain': "dense streaks blended by 'screen', as in Rain1400 and DID-MDN",
    'did_rain': "streaks of DID-MDN's three densities, added",
    'rain100h': 'many streaks of two to five directions, as in Rain100H',
    'heavy_rain': 'dense streaks with a veil',
    'outdoor_rain': "heavy rain with the parameters of Outdoor-Rain's renderer",
    'outdoor_rain_val': "the same with the renderer's wider ranges for validation, as in Test 1",
    'rain_fog': 'streaks in front of near objects, fog in front of far ones, as in RainCityscapes',
    'haze': 'haze as in RESIDE',
    'veil': 'the veil of heavy rain without streaks',
    'snow': 'snowflakes at three distances, near ones out of focus',
    'noise': 'Gaussian noise in each channel',
    'grey_noise': 'Gaussian noise, the same in all channels',
    'poisson': 'Poisson (photon) noise',
    'blur': 'Gaussian blur',
    'motion_blur': 'linear motion blur',
    'jpeg': 'JPEG compression with 4:2:0 chroma subsampling',
    'mild': 'blur, noise and JPEG combined, the mild levels of RL-Restore',
    'moderate': 'blur, noise and JPEG combined, the moderate levels of RL-Restore, used for training in papers',
    'severe': 'blur, noise and JPEG combined, the severe levels of RL-Restore',
    'did_hy': "'did_rain' followed by 'moderate'",
}


def named_recipe(name: str) -> dict:
    """Return a deep copy of a recipe's config.

    Raises:
        ConfigError: unknown recipe; the message suggests the nearest name.
    """
    if name not in RECIPES:
        raise ConfigError(f"no recipe is called '{name}'; {nearest(name, [*RECIPES])}")
    return deepcopy(RECIPES[name])
