"""Image degradation models: operators, and separate samplers of their parameters."""

from restorebox.degradations.base import BaseDegradation, RangedDegradation
from restorebox.degradations.compose import build_degradation
from restorebox.degradations.depth import DepthSource
from restorebox.degradations.recipes import named_recipe
from restorebox.degradations.records import draw_record, record_rng, render_again
from restorebox.degradations.weather import Weather

__all__ = [
    'BaseDegradation',
    'DepthSource',
    'RangedDegradation',
    'Weather',
    'build_degradation',
    'draw_record',
    'named_recipe',
    'record_rng',
    'render_again',
]
