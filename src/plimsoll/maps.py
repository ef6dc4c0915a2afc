"""What a store holds of an instrument, made into its heat map."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics import bars as timeline
from plimsoll.analytics import heatmap as model
from plimsoll.analytics.inventory import Parameters
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import Symbol
from plimsoll.store.catalogue import Catalogue

if TYPE_CHECKING:
    from plimsoll.store.reader import Reader

__all__ = ["SHOWN", "WARM_UP", "History", "heatmap", "history"]

WARM_UP = timedelta(days=30)
"""How much history before the first column fills the inventory."""
SHOWN = timedelta(days=30)
"""How much is shown where nobody says since when."""
_REACH = timedelta(days=1)
"""How far from where they are needed candles may begin and still be preferred."""

Span = tuple[datetime | None, datetime | None, datetime | None]


def heatmap(
    reader: Reader,
    symbol: str,
    exchange: str | None,
    *,
    span: Span,
    interval: timedelta | None,
    rows: int | None,
    parameters: Parameters | None,
) -> model.HeatMap:
    """Return the map of one instrument.

    Parameters
    ----------
    reader : Reader
    symbol : str
    exchange : str or None
        None for the only one there is.
    span : tuple of since, until and as_of
        In UTC; None for the last 30 days, for no end, and for what is known now.
    interval : timedelta or None
        The length of a bar; None for the shortest the data allow.
    rows : int or None
        Join price rows to at most this many; None for one a bucket.
    parameters : Parameters or None
        None for the priors.

    Returns
    -------
    HeatMap

    Raises
    ------
    NoSuchData
        If no open interest is stored for that span.
    ValueError
        If the symbol is no linear or inverse contract, several exchanges could be meant, or a
        bar is shorter than the step of open interest.
    """
    held = history(reader, symbol, exchange, span=span, interval=interval)
    drawn = model.liquidation_map(
        held.bars, parameters or held.parameters, since=held.since, rows=rows
    )
    return replace(drawn, exchange=held.exchange, symbol=symbol, prices=held.prices)


@dataclass(frozen=True, eq=False)
class History:
    """What a store holds of an instrument, as a map is made from it.

    Attributes
    ----------
    bars : DataFrame
        As `analytics.bars` makes them.
    since : datetime
        Where what is asked for starts; earlier bars fill the inventory.
    parameters : Parameters
        The priors, with the instrument's settlement and first maintenance bracket.
    exchange : str
    prices : str
        Where prices come from.
    """

    bars: pl.DataFrame
    since: datetime
    parameters: Parameters
    exchange: str
    prices: str


def history(
    reader: Reader,
    symbol: str,
    exchange: str | None,
    *,
    span: Span,
    interval: timedelta | None,
) -> History:
    """Return what a store holds of an instrument; arguments and errors as of `heatmap`."""
    settlement = Symbol.parse(symbol).settlement
    if settlement not in {"linear", "inverse"}:
        raise ValueError(f"{symbol} is no linear or inverse contract: it has no such map")
    exchange = exchange or _only_exchange(reader, symbol)
    since, until, as_of = span
    held = reader.read(
        "open_interest",
        exchanges=[exchange],
        symbol=symbol,
        since=None if since is None else since - WARM_UP,
        until=until,
        as_of=as_of,
    )
    if not held.height:
        raise NoSuchData(f"no open interest of {exchange} {symbol} is stored in that span")
    last: datetime = held.select(pl.col("time").max()).item()
    since = since or last - SHOWN
    held = held.filter(pl.col("time") >= since - WARM_UP)
    first: datetime = held.select(pl.col("time").min()).item()
    since = max(since, first)
    stored = _trade_candles(reader, symbol, exchange, (first, until, as_of))
    candles = _usable(stored, interval, first, since)
    early = held.filter(pl.col("time") <= max(since, first + _REACH))
    length = interval or timeline.shortest_interval(candles, early)
    if length < (usual := timeline.shortest_interval(candles.clear(), early)):
        raise ValueError(f"open interest is reported every {usual}: bars of {length} are too short")
    bars = timeline.bars(candles, held, length, first, until or last + length)
    priced = bars["open"].is_not_null().arg_true()
    bars = bars[: priced[-1] + 1] if priced.len() else bars  # after the last price nothing is known
    priors = _priors(reader, symbol, exchange, first)
    return History(bars, since, priors, exchange, _source(candles))


def _usable(
    candles: pl.DataFrame, interval: timedelta | None, first: datetime, since: datetime
) -> pl.DataFrame:
    """Return the shortest candles that fill the bars from the warm-up to what is shown.

    Without any, prices are those that open interest implies. Nothing after the first column has
    a say: more history later must not change what the map showed before.
    """
    for seconds in candles["interval"].unique().sort():
        length = timedelta(seconds=seconds)
        fills = interval is None or interval % length == timedelta(0)
        opens = candles.filter(pl.col("interval") == seconds)["time"]
        near = opens.is_between(since - _REACH, since + length)
        if fills and near.any() and (opens <= first + _REACH).any():
            return candles.filter(pl.col("interval") == seconds)
    return candles.clear()


def _source(candles: pl.DataFrame) -> str:
    if candles.is_empty():
        return "open interest, its value over its amount"
    return f"candles of {timedelta(seconds=candles['interval'][0])}"


def _only_exchange(reader: Reader, symbol: str) -> str:
    found = [series.exchange for series in reader.series("open_interest", symbol=symbol)]
    if not found:
        raise NoSuchData(f"no open interest of {symbol} is stored")
    if len(found) > 1:
        raise ValueError(f"a map is of one exchange; say which with exchange: {', '.join(found)}")
    return found[0]


def _trade_candles(reader: Reader, symbol: str, exchange: str, span: Span) -> pl.DataFrame:
    """Return trade candles of every length stored; none where none are."""
    since, until, as_of = span
    try:
        candles = reader.read(
            "candle", exchanges=[exchange], symbol=symbol, since=since, until=until, as_of=as_of
        )
    except NoSuchData:
        return pl.DataFrame(schema=TABLES["candle"].schema)
    return candles.filter(pl.col("price_kind") == "trade")


def _priors(reader: Reader, symbol: str, exchange: str, at: datetime) -> Parameters:
    """Return the priors, with the first maintenance bracket in force where one is stored."""
    inverse = Symbol.parse(symbol).settlement == "inverse"
    priors = Parameters(settlement="inverse" if inverse else "linear")
    with closing(Catalogue(reader.layout, read_only=True)) as catalogue:
        known = catalogue.brackets(exchange, symbol, at)
    if known is None:
        return priors
    rate = known.brackets[0].maintenance_rate
    tiers = [
        (leverage, weight)
        for leverage, weight in zip(priors.leverage, priors.weights, strict=True)
        if 1 / leverage > rate
    ]
    total = sum(weight for _, weight in tiers)
    return Parameters(
        settlement=priors.settlement,
        maintenance=rate,
        leverage=tuple(leverage for leverage, _ in tiers),
        weights=tuple(weight / total for _, weight in tiers),
    )
