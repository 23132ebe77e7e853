"""Is a data set what it is said to be? Names, unreadable files, pairs, near-duplicates, clean sides."""

from restorebox.datasets.inspection.check import check, quick_check
from restorebox.datasets.inspection.findings import Finding, Report
from restorebox.datasets.inspection.picture_sets import from_config, from_folder
from restorebox.datasets.inspection.sheet import save_findings

__all__ = ['Finding', 'Report', 'check', 'from_config', 'from_folder', 'quick_check', 'save_findings']
