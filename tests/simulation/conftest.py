from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from plimsoll.simulation.market import Market
from plimsoll.simulation.scenarios import COINS, SCENARIOS

if TYPE_CHECKING:
    from plimsoll.simulation.market import Chunk

DAY = 1_440


@pytest.fixture(scope="session")
def crash() -> tuple[Market, Chunk]:
    """Twenty days of bitcoin's market, with the crash on the seventeenth."""
    start = datetime(2025, 3, 10, tzinfo=UTC)  # a quarterly future expires on the 28th
    market = Market(SCENARIOS["crash"], COINS["BTC"], seed=3, start=start, days=20)
    return market, market.advance(20 * DAY)
