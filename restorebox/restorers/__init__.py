"""Learning regimes: networks + losses + optimisers."""

from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.network import Network, build_network

__all__ = ['BaseRestorer', 'Network', 'build_network']
