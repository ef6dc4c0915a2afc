"""What a store holds, made into measures: the questions asked of a market, and of a coin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from plimsoll.analytics import funding as cost
from plimsoll.analytics import open_interest as interest
from plimsoll.analytics import positions
from plimsoll.errors import NoSuchData
from plimsoll.market.interval import instant
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from plimsoll.store.reader import Reader

__all__ = [
    "Asked",
    "Exchanges",
    "When",
    "asked",
    "funding",
    "moment",
    "names",
    "open_interest",
    "position_coverage",
    "rows_of",
    "weighted_funding",
]

When = datetime | str | None
Exchanges = str | list[str] | tuple[str, ...] | None

DAY = timedelta(days=1)
STALE = timedelta(hours=2)


class Asked(NamedTuple):
    """What part of a store is asked about; times in UTC.

    Attributes
    ----------
    exchanges : list of str
        All if empty.
    since, until, as_of : datetime or None
    """

    exchanges: list[str]
    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None


def asked(exchange: Exchanges, since: When, until: When, as_of: When) -> Asked:
    """Return a question in the form the store reads it."""
    return Asked(names(exchange), moment(since), moment(until), moment(as_of))


def names(exchange: Exchanges) -> list[str]:
    """Return exchanges as a list; empty for all."""
    if exchange is None:
        return []
    return [exchange] if isinstance(exchange, str) else list(exchange)


def moment(when: When) -> datetime | None:
    """Return a time in UTC; words are read as `market.interval.instant` reads them."""
    if when is None:
        return None
    if isinstance(when, str):
        return instant(when, datetime.now(tz=UTC))
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def rows_of(reader: Reader, kind: str, market: str, asked: Asked) -> pl.DataFrame:
    """Return the rows of a symbol, or of all contracts of a coin.

    Raises
    ------
    NoSuchData
        If nothing of that kind is stored for them.
    """
    exchanges, since, until, as_of = asked
    if "/" in market:
        Symbol.parse(market)
        symbols = [market]
    else:
        found = {series.symbol for series in reader.series(kind, exchanges)}
        symbols = sorted(symbol for symbol in found if symbol.split("/")[0] == market)
    if not symbols:
        raise NoSuchData(f"no {kind} is stored for any contract of {market}")
    return pl.concat(
        reader.read(kind, symbol=symbol, exchanges=exchanges, since=since, until=until, as_of=as_of)
        for symbol in symbols
    )


def open_interest(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return open interest summed over markets; see `Session.open_interest`."""
    rows = rows_of(reader, "open_interest", market, asked._replace(since=None))
    oldest = max(STALE, 2 * step)
    total = interest.change(interest.aggregate(rows, step, oldest), DAY)
    spread = interest.venue_concentration(rows, step, oldest)
    known = total.join(spread, on="time", how="left", suffix="_spread")
    return _from(known, asked.since)


def funding(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return what each settlement cost; see `Session.funding`."""
    rows = rows_of(reader, "funding", market, asked._replace(since=None))
    settled = rows.filter(pl.col("status") == "settled")
    if not settled.height:
        raise NoSuchData(f"no settled funding is stored for {market}, only predictions")
    return _from(cost.history(settled), asked.since)


def position_coverage(
    reader: Reader, symbol: str, exchange: str, asked: Asked, step: timedelta
) -> pl.DataFrame:
    """Return how much of a market measured positions show; see `Session.position_coverage`."""
    one = asked._replace(exchanges=[exchange])
    held = rows_of(reader, "position", symbol, one)
    return positions.coverage(held, rows_of(reader, "open_interest", symbol, one), step, DAY)


def weighted_funding(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return annual funding weighted by open interest; see `Session.weighted_funding`."""
    rows = rows_of(reader, "funding", market, asked)
    settled = cost.settlement_interval(rows.filter(pl.col("status") == "settled"))
    held = rows_of(reader, "open_interest", market, asked)
    return cost.oi_weighted(settled, held, step, STALE)


def _from(frame: pl.DataFrame, start: datetime | None) -> pl.DataFrame:
    return frame if start is None else frame.filter(pl.col("time") >= start)
