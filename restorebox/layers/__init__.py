"""Small blocks that two or more networks share."""

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
from restorebox.layers.stem_controls import AttentiveRecurrent, ContextAggregation, ContextualDilated, RecursiveStem
from restorebox.layers.stems import BaseStem, InfoAccum, ResidualStem

__all__ = [
    'AttentiveRecurrent',
    'BaseStem',
    'ContextAggregation',
    'ContextualDilated',
    'InfoAccum',
    'InstanceNorm',
    'LocalStatistics',
    'RecursiveStem',
    'ResidualStem',
    'he_init',
    'local_mean',
    'make_norm',
    'normal_init',
    'pad_to_multiple',
    'reflect_index',
    'set_statistics_window',
    'statistics_layers',
]
