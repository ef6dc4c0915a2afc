"""Open interest as stored, summed over markets."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from plimsoll.analytics import open_interest as interest
from plimsoll.analytics import positions
from plimsoll.measures.asking import rows_of, since

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["open_interest", "position_coverage"]

DAY = timedelta(days=1)
STALE = timedelta(hours=2)


def open_interest(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return open interest summed over markets; see `Session.open_interest`."""
    rows = rows_of(reader, "open_interest", market, asked._replace(since=None))
    oldest = max(STALE, 2 * step)
    total = interest.change(interest.aggregate(rows, step, oldest), DAY)
    spread = interest.venue_concentration(rows, step, oldest)
    known = total.join(spread, on="time", how="left", suffix="_spread")
    return since(known, asked.since)


def position_coverage(
    reader: Reader, symbol: str, exchange: str, asked: Asked, step: timedelta
) -> pl.DataFrame:
    """Return how much of a market measured positions show; see `Session.position_coverage`."""
    one = asked._replace(exchanges=[exchange])
    held = rows_of(reader, "position", symbol, one)
    return positions.coverage(held, rows_of(reader, "open_interest", symbol, one), step, DAY)
