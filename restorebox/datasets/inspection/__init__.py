"""Is a data set what it is said to be? Names, unreadable files, pairs, near-duplicates, clean sides."""

from restorebox.datasets.inspection.check import check, quick_check
from restorebox.datasets.inspection.findings import Finding, Report
from restorebox.datasets.inspection.sheet import draw_findings
from restorebox.datasets.inspection.sources import from_config, from_folder

__all__ = ['Finding', 'Report', 'check', 'draw_findings', 'from_config', 'from_folder', 'quick_check']
