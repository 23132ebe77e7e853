"""Fixtures of all tests."""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import mmengine  # noqa: F401  (before the workers of pytest -n start, for the reason in restorebox/engine/launch.py)
import numpy as np
import pytest
import torch

os.environ.setdefault('OMP_NUM_THREADS', '1')  # spinning OpenMP threads slow small steps down on few cores

LONG = os.environ.get('RESTOREBOX_LONG') == '1'
long = pytest.mark.skipif(not LONG, reason='takes most of a minute: RESTOREBOX_LONG=1 runs it')

SEED = int(os.environ.get('RESTOREBOX_TEST_SEED', '0'))

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / 'shared'


def load_study(name: str) -> ModuleType:
    """A script of docs/studies as a module."""
    return load_script(REPO / 'docs' / 'studies' / f'{name}.py')


def load_script(path: Path) -> ModuleType:
    """A script outside of the package as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)  # dataclasses look it up there
    spec.loader.exec_module(module)
    return module


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave modules and collected tests, which stay, out of every later garbage collection.

    MMEngine collects at each data set that it builds; over so many objects this was half of the time of some rooms.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def seed_global_generators() -> None:
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Before the fixtures: initial weights in them do not depend on the tests that ran before in the same process."""
    seed_global_generators()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Before the test itself: nor on whether a fixture was made for it or for an earlier test."""
    seed_global_generators()


@pytest.fixture(autouse=True)
def no_progress_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine the lines of each minute would be among those that tests expect."""
    monkeypatch.setattr('restorebox.progress.EVERY', float('inf'))


@pytest.fixture(scope='session')
def shared() -> Path:
    """Return the folder of real pictures and parity data of a developer's checkout; skip the test if there is none."""
    if not SHARED.is_dir():
        pytest.skip("the developers' folder of real pictures (../shared) is not here")
    return SHARED
