from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "plimsoll",
    max_examples=40,  # of each of several hundred properties, each time
    deadline=None,
    derandomize="CI" in os.environ,  # there the same examples each time; new ones at the desk
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
    ],
)
settings.load_profile("plimsoll")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_xdist_auto_num_workers() -> int:
    """Return how many tests run side by side: two for each core, as many only wait."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real market data, which is not part of the repository."""
    if not (SHARED / "real").is_dir():
        pytest.skip(f"no real market data at {SHARED}")
    return SHARED / "real"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"
