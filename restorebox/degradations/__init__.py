"""The physics of what spoils a picture: operators, and apart from them the samplers of their parameters."""

from restorebox.degradations.base import BaseDegradation, RangedDegradation
from restorebox.degradations.blur import GaussianBlur, MotionBlur
from restorebox.degradations.camera import CameraNoise
from restorebox.degradations.compose import Compose, build_degradation
from restorebox.degradations.depth import DepthSource
from restorebox.degradations.drops import Drops, Spray
from restorebox.degradations.heavy_rain import HeavyRain
from restorebox.degradations.hybrid import HybridDistortion
from restorebox.degradations.jpeg import JPEG
from restorebox.degradations.line_rain import LineRain
from restorebox.degradations.noise import GaussianNoise, GreyNoise, PoissonNoise
from restorebox.degradations.one_of import OneOf
from restorebox.degradations.rain_fog import RainFog
from restorebox.degradations.recipes import named_recipe
from restorebox.degradations.records import draw_record, record_rng, render_again
from restorebox.degradations.snow import Snow
from restorebox.degradations.template_rain import TemplateRain
from restorebox.degradations.varied_rain import VariedRain
from restorebox.degradations.veil import Veil
from restorebox.degradations.weather import Weather

__all__ = [
    'JPEG',
    'BaseDegradation',
    'CameraNoise',
    'Compose',
    'DepthSource',
    'Drops',
    'GaussianBlur',
    'GaussianNoise',
    'GreyNoise',
    'HeavyRain',
    'HybridDistortion',
    'LineRain',
    'MotionBlur',
    'OneOf',
    'PoissonNoise',
    'RainFog',
    'RangedDegradation',
    'Snow',
    'Spray',
    'TemplateRain',
    'VariedRain',
    'Veil',
    'Weather',
    'build_degradation',
    'draw_record',
    'named_recipe',
    'record_rng',
    'render_again',
]
