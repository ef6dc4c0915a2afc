"""What leverage cost, as stored."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics import funding as cost
from plimsoll.errors import NoSuchData
from plimsoll.measures.asking import rows_of, since

if TYPE_CHECKING:
    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["funding", "weighted_funding"]

STALE = timedelta(hours=2)


def funding(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return what each settlement cost; see `Session.funding`."""
    rows = rows_of(reader, "funding", market, asked._replace(since=None))
    settled = rows.filter(pl.col("status") == "settled")
    if not settled.height:
        raise NoSuchData(f"no settled funding is stored for {market}, only predictions")
    return since(cost.history(settled), asked.since)


def weighted_funding(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return annual funding weighted by open interest; see `Session.weighted_funding`."""
    rows = rows_of(reader, "funding", market, asked)
    settled = cost.settlement_interval(rows.filter(pl.col("status") == "settled"))
    held = rows_of(reader, "open_interest", market, asked)
    return cost.oi_weighted(settled, held, step, STALE)
