"""Learning regimes: networks + losses + optimisers."""

from restorebox.restorers.adversarial import AdversarialRestorer
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.cycle import CycleRestorer
from restorebox.restorers.diffusion import DiffusionRestorer
from restorebox.restorers.heavy_rain import HeavyRainRestorer
from restorebox.restorers.heavy_rain_physics import HeavyRainPhysics
from restorebox.restorers.network import Network, build_network
from restorebox.restorers.physics_diffusion import PhysicsDiffusion
from restorebox.restorers.preprocessor import RestorationPreprocessor
from restorebox.restorers.rain_diffusion import RainDiffusion
from restorebox.restorers.supervised import SupervisedRestorer

__all__ = [
    'AdversarialRestorer',
    'BaseRestorer',
    'CycleRestorer',
    'DiffusionRestorer',
    'HeavyRainPhysics',
    'HeavyRainRestorer',
    'Network',
    'PhysicsDiffusion',
    'RainDiffusion',
    'RestorationPreprocessor',
    'SupervisedRestorer',
    'build_network',
]
