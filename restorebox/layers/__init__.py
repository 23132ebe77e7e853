"""Building blocks that two or more networks share."""

from restorebox.layers.information_accumulation import BaseStem
from restorebox.layers.initialise import he_init, normal_init
from restorebox.layers.padding import pad_to_multiple, reflect_index
from restorebox.layers.statistics import (
    InstanceNorm,
    LocalStatistics,
    local_mean,
    make_norm,
    set_statistics_window,
    statistics_layers,
)

__all__ = [
    'BaseStem',
    'InstanceNorm',
    'LocalStatistics',
    'he_init',
    'local_mean',
    'make_norm',
    'normal_init',
    'pad_to_multiple',
    'reflect_index',
    'set_statistics_window',
    'statistics_layers',
]
