"""What was closed by force, as stored."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics import bursts as outbursts
from plimsoll.analytics import forced
from plimsoll.analytics import liquidations as closed
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.measures.asking import rows_of, since, stored

if TYPE_CHECKING:
    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["BY", "bursts", "liquidations"]

BY = {
    "market": ("exchange", "symbol"),
    "exchange": ("exchange",),
    "symbol": ("symbol",),
    "all": (),
}
"""What can be kept apart."""

_DAY = timedelta(days=1)
_PAST = timedelta(weeks=12)
_AGGREGATE = "aggregate"
"""Sums over exchanges that are not named: they are added to nothing."""


def liquidations(
    reader: Reader, market: str, asked: Asked, step: timedelta, by: str, *, whole: bool
) -> pl.DataFrame:
    """Return what was closed by force; see `Session.liquidations`."""
    if by not in BY:
        raise ValueError(f"what is kept apart is one of {', '.join(BY)}; got {by!r}")
    told, rows, gaps = _told(reader, market, asked, step)
    told = since(told, asked.since)
    candles = _of_markets(reader, "candle", told, asked)
    held = _of_markets(reader, "open_interest", told, asked)
    bounded = forced.bounds(told, _most(rows, gaps, candles, step), candles, held, step)
    if whole or by != "market":
        bounded = closed.added(bounded, *(() if whole else ("time",)), *BY[by])
    return forced.shares(bounded)


def _told(
    reader: Reader, market: str, asked: Asked, step: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return what is told of each market, nothing twice; and the single liquidations and gaps."""
    # Silence before the first step is silence as well.
    early = asked if asked.since is None else asked._replace(since=asked.since - _DAY - step)
    rows = stored(reader, "liquidation", market, early)
    sums = stored(reader, "liquidation_total", market, early)
    if not rows.height and not sums.height:
        raise NoSuchData(
            f"no liquidations are stored for {market} in that span of time; "
            "a feed brings them only while it is recorded"
        )
    gaps = stored(reader, "gap", market, asked._replace(since=None))
    found = closed.strongest(closed.totals(rows, gaps, step), closed.published(sums, step))
    if _AGGREGATE not in asked.exchanges and found["exchange"].n_unique() > 1:
        found = found.filter(pl.col("exchange") != _AGGREGATE)
    if not found.height:
        longest = timedelta(seconds=sums["interval"].min())  # type: ignore[arg-type]
        raise NoSuchData(
            f"of {market} only sums over {longest} are stored: ask for steps of that length, or a "
            "multiple of it"
        )
    return found, rows, gaps


def _most(
    rows: pl.DataFrame, gaps: pl.DataFrame, candles: pl.DataFrame, step: timedelta
) -> pl.DataFrame:
    """Return at most how much was forced, in steps as short as each market's candles."""
    fit = candles.filter(
        (pl.col("price_kind") == "trade") & (pl.col("interval") <= step.total_seconds())
    )
    finest = fit.group_by("exchange", "symbol").agg(pl.col("interval").min())
    found = [forced.taken(closed.totals(rows, gaps, step), fit.clear(), step)]
    for (seconds,), markets in finest.group_by("interval"):
        every = timedelta(seconds=seconds)
        told = closed.totals(rows, gaps, every)
        of = fit.join(markets, on=("exchange", "symbol", "interval"), how="semi")
        found.append(forced.taken(told, of, every))
    return pl.concat(found)


def _of_markets(reader: Reader, kind: str, told: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Return the rows of a kind of the markets of a frame."""
    early = asked if asked.since is None else asked._replace(since=asked.since - _DAY)
    frames = [
        stored(reader, kind, symbol, early._replace(exchanges=[exchange]))
        for exchange, symbol in told.select("exchange", "symbol").unique().sort(pl.all()).rows()
        if "/" in symbol
    ]
    return pl.concat([pl.DataFrame(schema=TABLES[kind].schema), *frames])


def bursts(
    reader: Reader, market: str, asked: Asked, step: timedelta, rule: outbursts.Rule
) -> pl.DataFrame:
    """Return the bursts of liquidations; see `Session.bursts`."""
    early = asked if asked.since is None else asked._replace(since=asked.since - _PAST)
    rows = rows_of(reader, "liquidation", market, early)
    gaps = stored(reader, "gap", market, early._replace(since=None))
    found = outbursts.bursts(rows, gaps, step, rule)
    if asked.since is not None:
        found = found.filter(pl.col("start") >= asked.since)
    candles, where = _priced(reader, rows, early)
    return outbursts.path(found, candles).with_columns(priced_on=pl.lit(where, pl.String))


def _priced(reader: Reader, rows: pl.DataFrame, asked: Asked) -> tuple[pl.DataFrame, str | None]:
    """Return the finest candles of the market where most was closed, of those that have any."""
    markets = (
        rows.group_by("exchange", "symbol")
        .agg(closed.dollars().sum().alias("usd"))
        .sort("usd", "exchange", "symbol", descending=[True, False, False])
    )
    open_ended = asked._replace(until=None)  # the path goes on behind the last burst
    for exchange, symbol, _ in markets.rows():
        candles = stored(reader, "candle", symbol, open_ended._replace(exchanges=[exchange]))
        trades = candles.filter(pl.col("price_kind") == "trade")
        if trades.height:
            finest = pl.col("interval") == pl.col("interval").min()
            return trades.filter(finest), f"{exchange} {symbol}"
    return pl.DataFrame(schema=TABLES["candle"].schema), None
