"""The version, read by setup.py and by every published checkpoint."""

__version__ = '0.1.0'
