from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import plimsoll

if TYPE_CHECKING:
    from plimsoll.session import Session

DAYS = 12
"""A fit learns from the eighth on."""


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A store of a few simulated days, which no test changes."""
    session = plimsoll.open(tmp_path_factory.mktemp("server") / "store")
    session.simulate("crash", coins=("SOL",), days=DAYS)
    return session
