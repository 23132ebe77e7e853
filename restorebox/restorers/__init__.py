"""Restorers: networks, losses and optimisation steps of each training method."""

from restorebox.restorers.adversarial import AdversarialRestorer
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.cycle import CycleRestorer
from restorebox.restorers.network import Network, build_network
from restorebox.restorers.supervised import SupervisedRestorer

__all__ = ['AdversarialRestorer', 'BaseRestorer', 'CycleRestorer', 'Network', 'SupervisedRestorer', 'build_network']
