"""The physics of what spoils a picture: operators, and apart from them the samplers of their parameters."""

from restorebox.degradations.base import BaseDegradation, to_float
from restorebox.degradations.line_rain import LineRain

__all__ = ['BaseDegradation', 'LineRain', 'to_float']
