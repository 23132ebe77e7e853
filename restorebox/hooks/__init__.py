"""What happens around the loop: checkpoints, moving average, sheets, curves, reports."""

from restorebox.hooks.checkpoint import RestorationCheckpointHook
from restorebox.hooks.ema import RoleEMAHook
from restorebox.hooks.reports import BadPictureHook, CapHistoryHook, ScoresHook, TrainingCurveHook
from restorebox.hooks.reset_role import ResetRoleHook
from restorebox.hooks.sheets import ComparisonSheetHook

__all__ = [
    'BadPictureHook',
    'CapHistoryHook',
    'ComparisonSheetHook',
    'ResetRoleHook',
    'RestorationCheckpointHook',
    'RoleEMAHook',
    'ScoresHook',
    'TrainingCurveHook',
]
