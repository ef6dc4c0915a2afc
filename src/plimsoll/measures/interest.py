"""Open interest as stored: its sum, its parts, its growth, and whether it can be believed."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics import concentration as division
from plimsoll.analytics import cvd, positions
from plimsoll.analytics import growth as grown
from plimsoll.analytics import open_interest as interest
from plimsoll.analytics import quadrant as quadrants
from plimsoll.analytics import turnover as traded
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import EVERY, rows_of, since
from plimsoll.store.catalogue import Catalogue

if TYPE_CHECKING:
    from plimsoll.analytics.concentration import By
    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = [
    "candles",
    "divided",
    "flows",
    "growth",
    "lots",
    "milestones",
    "open_interest",
    "position_coverage",
    "prices",
    "quadrant",
    "turnover",
]

DAY = timedelta(days=1)
STALE = timedelta(hours=2)
_LEARNT = timedelta(days=31)
"""How much history before it a state needs, to know what is usual."""


def open_interest(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return open interest summed over markets; see `Session.open_interest`."""
    rows = _held(reader, market, asked)
    total = interest.change(interest.aggregate(rows, step, _oldest(step)), DAY)
    spread = division.spread(rows, step, _oldest(step)).select("time", "hhi", "effective", "gini")
    known = total.join(spread, on="time", how="left", maintain_order="left")
    return since(known, asked.since)


def prices(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return at what `price` open interest is valued, where both coins and dollars are told."""
    both = _held(reader, market, asked).drop_nulls(["amount", "value_usd"])
    total = interest.aggregate(both, step, _oldest(step))
    price = pl.when(pl.col("amount") > 0).then(pl.col("value_usd") / pl.col("amount"))
    return since(total.select("time", price=price), asked.since)


def divided(
    reader: Reader, market: str, by: By, asked: Asked, step: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return open interest by its parts, and how concentrated; see `Session.divided_interest`."""
    rows = _held(reader, market, asked)
    parts = division.divided(rows, by, step, _oldest(step))
    spread = division.spread(rows, step, _oldest(step), by)
    return since(parts, asked.since), since(spread, asked.since)


def candles(
    reader: Reader, market: str, asked: Asked, interval: timedelta, step: timedelta
) -> pl.DataFrame:
    """Return candles of open interest; see `Session.interest_candles`."""
    if interval % step or interval <= timedelta(0):
        raise ValueError(f"a candle of {interval} is no multiple of its steps of {step}")
    total = interest.aggregate(_held(reader, market, asked), step, _oldest(step))
    return since(grown.candles(total, interval), asked.since)


def growth(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return growth over several spans; see `Session.interest_growth`."""
    return grown.growth(interest.aggregate(_held(reader, market, asked), step, _oldest(step)))


def milestones(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return when round marks were reached; see `Session.interest_milestones`."""
    return grown.milestones(interest.aggregate(_held(reader, market, asked), step, _oldest(step)))


def turnover(
    reader: Reader, market: str, asked: Asked, step: timedelta, supply: float | None
) -> pl.DataFrame:
    """Return open interest against volume and coins; see `Session.turnover`."""
    held = _held(reader, market, asked)
    total = interest.aggregate(held, step, _oldest(step))
    base = Symbol.parse(market).base if "/" in market else market
    volumes = traded.traded(_candles(reader, base, asked._replace(since=None)), step)
    spot = pl.col("symbol").is_in(_spot(volumes["symbol"]))
    # What markets trade whose open interest nobody tells is no part of this.
    told = held.group_by("exchange", "symbol").agg(since=pl.col("known_at").min())
    contracts = volumes.filter(~spot).join(told, on=["exchange", "symbol"])
    ratios = traded.turnover(total, contracts, volumes.filter(spot), step, DAY, supply)
    return since(ratios, asked.since)


def quadrant(
    reader: Reader, market: str, asked: Asked, step: timedelta, span: timedelta
) -> pl.DataFrame:
    """Return price and open interest together; see `Session.quadrant`."""
    start = None if asked.since is None else asked.since - _LEARNT - span
    wider = asked._replace(since=start)
    rows = rows_of(reader, "open_interest", market, wider)
    if rows.is_empty():
        raise NoSuchData(f"no open interest of {market} is stored in that span of time")
    total = interest.change(interest.aggregate(rows, step, _oldest(step)), span)
    comparable = (pl.col("coverage") == pl.col("coverage_usd")) & (pl.col("amount") > 0)
    taken = _contracts(flows(reader, market, wider, step))
    sums = taken.drop_nulls("bought").group_by("time").agg(pl.col("bought", "sold").sum())
    bars = total.select(
        "time",
        pl.when(comparable).then(pl.col("value_usd") / pl.col("amount")).alias("price"),
        pl.col("relative_change").alias("interest_change"),
    ).join(sums, on="time", how="left", maintain_order="left")
    return since(quadrants.quadrant(bars, step, span), asked.since)


def flows(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return what takers bought and sold, from whatever is stored; see `analytics.cvd.taken`."""
    return cvd.taken(
        _candles(reader, market, asked),
        _or_empty(reader, "taker_volume", market, asked),
        _or_empty(reader, "trade", market, asked),
        step,
    )


def position_coverage(
    reader: Reader, symbol: str, exchange: str, asked: Asked, step: timedelta
) -> pl.DataFrame:
    """Return how much of a market measured positions show; see `Session.position_coverage`."""
    one = asked._replace(exchanges=[exchange])
    held = rows_of(reader, "position", symbol, one)
    return positions.coverage(held, rows_of(reader, "open_interest", symbol, one), step, DAY)


def _oldest(step: timedelta) -> timedelta:
    return max(STALE, 2 * step)


def _held(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return all reports until the end that is asked for, as what came before says what is new."""
    rows = rows_of(reader, "open_interest", market, asked._replace(since=None))
    if rows.is_empty():
        raise NoSuchData(f"no open interest of {market} is stored in that span of time")
    # Amounts of one coin are not added to those of another; dollars are.
    nothing = pl.lit(None, pl.Float64)
    return rows.with_columns(amount=nothing) if market == EVERY else rows


def _or_empty(reader: Reader, kind: str, market: str, asked: Asked) -> pl.DataFrame:
    """Return the rows of a kind, none where nothing is stored."""
    try:
        return rows_of(reader, kind, market, asked)
    except NoSuchData:
        return pl.DataFrame(schema=TABLES[kind].schema)


def _candles(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    rows = _or_empty(reader, "candle", market, asked)
    return rows.filter(pl.col("price_kind") == "trade")


def _spot(symbols: pl.Series) -> list[str]:
    return [one for one in symbols.unique() if Symbol.parse(one).kind == "spot"]


def _contracts(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(~pl.col("symbol").is_in(_spot(rows["symbol"])))


def lots(reader: Reader, rows: pl.DataFrame) -> dict[tuple[str, str], float]:
    """Return sizes of contracts, where the store knows them."""
    found = {}
    with closing(Catalogue(reader.layout, read_only=True)) as catalogue:
        for exchange, symbol in rows.select("exchange", "symbol").unique().iter_rows():
            instrument = catalogue.instrument(exchange, symbol)
            if instrument is not None and instrument.contract_size is not None:
                found[exchange, symbol] = float(instrument.contract_size)
    return found
