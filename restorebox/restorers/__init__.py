"""Restorers: networks, losses and optimisation steps of each training method."""

from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.network import Network, build_network

__all__ = ['BaseRestorer', 'Network', 'build_network']
