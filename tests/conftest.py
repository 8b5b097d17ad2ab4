"""What every test shares."""

from __future__ import annotations

import os

# before anything imports them: one thread a worker (two workers of two threads each spend their
# time waiting for each other), no telemetry, no window
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from batch.launcher import launch, launch_command, launcher  # noqa: F401 - fixtures
from hypothesis import settings

from vae_anomaly import files

settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("suite")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed; a test draws from it, never from the global state."""
    return np.random.default_rng(20_240_601)


@pytest.fixture(autouse=True)
def _global_random_state_is_left_alone():
    before = _global_state()
    yield
    assert _global_state() == before, "a test touched NumPy's global random state"


@pytest.fixture(autouse=True)
def _failpoints_are_counted_from_the_start_of_a_test():
    files._reached.clear()


def _global_state() -> bytes:
    state = np.random.get_state()  # noqa: NPY002 - the legacy state is what is watched
    return state[1].tobytes()
