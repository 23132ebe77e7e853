"""Checks of data sets: names, unreadable files, pairs, near-duplicates, quality of clean pictures."""

from restorebox.datasets.inspection.check import check, quick_check
from restorebox.datasets.inspection.findings import Finding, Report
from restorebox.datasets.inspection.picture_sets import from_config, from_folder
from restorebox.datasets.inspection.sheet import save_findings

__all__ = ['Finding', 'Report', 'check', 'from_config', 'from_folder', 'quick_check', 'save_findings']
