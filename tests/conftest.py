"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault('OMP_NUM_THREADS', '1')  # spinning OpenMP threads slow small steps down on few cores

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / 'shared'


@pytest.fixture(scope='session')
def shared() -> Path:
    """The folder of real pictures and parity data beside a developer's checkout; a user has only the repository."""
    if not SHARED.is_dir():
        pytest.skip("the developers' folder of real pictures (../shared) is not here")
    return SHARED
