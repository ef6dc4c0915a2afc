"""What bears on a market from beyond it, as stored."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics import institutional, smile, volatility_index
from plimsoll.analytics import macro as beyond
from plimsoll.analytics.basis import BAND
from plimsoll.analytics.chain import looked_at
from plimsoll.analytics.open_interest import aggregate
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.measures import basis, chains
from plimsoll.measures.asking import Asked, rows_of, since, stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from plimsoll.store.reader import Reader

__all__ = ["macro"]

_DAY = timedelta(days=1)
_FRESH = timedelta(hours=2)
_INSTANT = timedelta(microseconds=1)
_COINBASE = "coinbase"
_TERMS = (30.0, 90.0)


def macro(reader: Reader, coin: str, asked: Asked) -> dict[str, pl.DataFrame | None]:
    """Return what is known from beyond a coin's market; see `Session.macro`."""
    if "/" in coin:
        raise ValueError(f"{coin} is a contract: name its coin alone")
    whole = asked._replace(since=None)
    anywhere = whole._replace(exchanges=[])
    parts: dict[str, Callable[[], pl.DataFrame]] = {
        "stablecoins": lambda: beyond.supply(_all(reader, "stablecoin_supply", anywhere)),
        "chains": lambda: beyond.chain_share(rows_of(reader, "open_interest", coin, whole), _FRESH),
        "protocols": lambda: beyond.protocols(_all(reader, "open_interest_total", anywhere)),
        "commitments": lambda: beyond.commitments(rows_of(reader, "commitment", coin, anywhere)),
        "institutional": lambda: _institutional(reader, coin, whole),
    }
    return {name: _or_none(part, asked) for name, part in parts.items()}


def _or_none(part: Callable[[], pl.DataFrame], asked: Asked) -> pl.DataFrame | None:
    try:
        found = since(part(), asked.since)
    except NoSuchData:
        return None
    return found if found.height else None


def _all(reader: Reader, kind: str, asked: Asked) -> pl.DataFrame:
    return reader.read(kind, since=asked.since, until=asked.until, as_of=asked.as_of)


def _institutional(reader: Reader, coin: str, asked: Asked) -> pl.DataFrame:
    """Return the composite of those parts for which something is stored."""
    candles = _longest(reader, coin, asked)
    made = [
        institutional.us_hours(candles),
        institutional.weekends(candles),
        _premium(reader, coin, asked),
    ]
    reports = stored(reader, "commitment", coin, asked._replace(exchanges=[]))
    held = stored(reader, "open_interest", coin, asked)
    if reports.height and held.height:
        elsewhere = aggregate(held, _DAY, _FRESH)
        made.append(institutional.regulated_share(beyond.commitments(reports), elsewhere))
    made += [_basis_gap(reader, coin, asked), _slope(reader, coin, asked)]
    made.append(institutional.block_share(_option_trades(reader, coin, asked)))
    return institutional.composite(made)


def _basis_gap(reader: Reader, coin: str, asked: Asked) -> pl.DataFrame:
    """Return the basis of regulated futures beside others'; nothing where none are stored."""
    anywhere = asked._replace(exchanges=[])
    kinds = ("mark_price", "candle")
    if not any(
        series.symbol.startswith(f"{coin}/")
        for kind in kinds
        for series in reader.series(kind, [institutional.REGULATED])
    ):
        return pl.DataFrame()
    return institutional.basis_gap(basis.term_structure(reader, coin, anywhere, _DAY, BAND))


def _slope(reader: Reader, coin: str, asked: Asked) -> pl.DataFrame:
    """Return the slope of implied volatility at midnights; nothing without options."""
    anywhere, found = asked._replace(exchanges=[]), []
    try:
        months, last = (
            chains.pieces(reader, coin, anywhere),
            chains.last_known(reader, coin, anywhere),
        )
    except NoSuchData:
        return pl.DataFrame()
    for start, end in months:
        days = pl.datetime_range(start, end, "1d", time_unit="us", eager=True).dt.truncate("1d")
        within = days.filter((days >= start) & (days < end) & (days <= last))
        if len(within):
            rows = chains.quotes(reader, coin, anywhere, within[0], within[-1] + _INSTANT)
            largest = smile.largest(looked_at(rows, within, chains.STALE)[0])
            near, far = (volatility_index.index(largest, term) for term in _TERMS)
            found.append(institutional.volatility_slope(near, far))
    return pl.concat(found) if found else pl.DataFrame()


def _option_trades(reader: Reader, coin: str, asked: Asked) -> Iterator[pl.DataFrame]:
    """Return the trades of a coin's options, wherever chains of them are stored."""
    books = {
        (series.exchange, series.symbol)
        for series in reader.series("option_quote")
        if series.symbol.split("/")[0] == coin
    }
    return chains.traded(reader, sorted(books), asked)


def _longest(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return the candles of trades of that market with the longest history by then."""
    series = [
        one
        for one in reader.series("candle", asked.exchanges)
        if market in {one.symbol, one.symbol.split("/")[0]}
    ]
    if not series:
        return pl.DataFrame(schema=TABLES["candle"].schema)
    ends = [end for end in (asked.until, asked.as_of) if end is not None]
    spans = {one: reader.span("candle", [one.exchange], one.symbol) for one in series}
    longest = max(series, key=lambda one: (_length(spans[one], ends), one.exchange, one.symbol))
    rows = stored(reader, "candle", longest.symbol, asked._replace(exchanges=[longest.exchange]))
    return rows.filter(pl.col("price_kind") == "trade")


def _length(span: tuple[datetime, datetime] | None, ends: list[datetime]) -> timedelta:
    """Return how long a span is, as far as it lies before all ends."""
    return timedelta(0) if span is None else min((span[1], *ends)) - span[0]


def _premium(reader: Reader, coin: str, asked: Asked) -> pl.DataFrame:
    """Return Coinbase's premium where all three of its prices are stored."""
    anywhere = asked._replace(exchanges=[])
    return institutional.premium(
        _longest(reader, f"{coin}/USD", asked._replace(exchanges=[_COINBASE])),
        _longest(reader, f"{coin}/USDT", anywhere),
        _longest(reader, "USDT/USD", anywhere),
    )
