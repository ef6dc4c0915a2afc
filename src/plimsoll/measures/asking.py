"""A question in the form a store reads it: which exchanges, which times, which contracts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from plimsoll.errors import NoSuchData
from plimsoll.market.interval import instant
from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from plimsoll.store.reader import Reader

__all__ = [
    "EVERY",
    "Asked",
    "Exchanges",
    "When",
    "asked",
    "moment",
    "names",
    "rows_of",
    "since",
    "stored",
]

EVERY = "ALL"
"""In the place of a coin: all of them."""
When = datetime | str | None
Exchanges = str | list[str] | tuple[str, ...] | None


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
    """Return a question in the form the store reads it.

    Raises
    ------
    ValueError
        If the span ends where it begins, or before.
    """
    found = Asked(names(exchange), moment(since), moment(until), moment(as_of))
    if found.since is not None and found.until is not None and found.since >= found.until:
        raise ValueError(
            f"no time lies from {found.since:%Y-%m-%d %H:%M} until {found.until:%Y-%m-%d %H:%M}: "
            "the first has to be the earlier"
        )
    return found


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
    """Return the rows of a symbol, of all contracts of a coin, or of `EVERY` coin.

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
        coin = None if market == EVERY else market
        symbols = sorted({series.symbol for series in reader.series(kind, exchanges, coin=coin)})
    if not symbols:
        raise NoSuchData(f"no {kind} is stored for any contract of {reader.called(market)}")
    return pl.concat(
        reader.read(kind, symbol=symbol, exchanges=exchanges, since=since, until=until, as_of=as_of)
        for symbol in symbols
    )


def stored(reader: Reader, kind: str, market: str, asked: Asked) -> pl.DataFrame:
    """Return the rows of a symbol, or of all contracts of a coin; none where none is stored."""
    try:
        return rows_of(reader, kind, market, asked)
    except NoSuchData:
        return pl.DataFrame(schema=TABLES[kind].schema)


def since(frame: pl.DataFrame, start: datetime | None) -> pl.DataFrame:
    """Return the rows from a time on; all of them if None."""
    return frame if start is None else frame.filter(pl.col("time") >= start)
