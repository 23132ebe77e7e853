"""The verbs of the console script. ``tools/*.py`` are shims over these modules."""

import os

# OpenMP threads that spin while they wait take the core from whoever has work: with one busy neighbour on two cores the
# demo trains at half the speed. Read when torch loads OpenMP, so it is set before anything imports torch.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
