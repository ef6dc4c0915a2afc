"""Who stands where, as stored: ratios, crowding, and what takers did."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics import cvd, positioning
from plimsoll.analytics import funding as cost
from plimsoll.analytics import open_interest as interest
from plimsoll.errors import NoSuchData
from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import rows_of, since
from plimsoll.measures.interest import flows

if TYPE_CHECKING:
    from datetime import datetime

    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["crowding", "flow", "long_short"]

_DAY = timedelta(days=1)
_STALE = timedelta(hours=2)
_FUNDED = timedelta(hours=16)
"""How long a settlement stands for the present: two of the longest intervals."""
_MARKET = ["exchange", "symbol"]


def long_short(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return ratios of longs to shorts; see `Session.long_short`."""
    rows = rows_of(reader, "long_short_ratio", market, asked._replace(since=None))
    return since(positioning.long_short(rows), asked.since)


def crowding(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return how crowded a side is; see `Session.positioning`."""
    whole = asked._replace(since=None)
    ratios = _told(reader, "long_short_ratio", market, whole)
    funding = _settled(reader, market, whole)
    taken = flows(reader, market, whole, step)
    if ratios is None and funding is None and taken.is_empty():
        raise NoSuchData(f"no ratio, funding or taker volume is stored for {market}")
    grid = _grid(ratios, funding, taken, step)
    terms: dict[str, pl.DataFrame] = {}
    beside: list[pl.DataFrame] = []
    if ratios is not None:
        shares = _shares(ratios, grid, max(_STALE, 2 * step))
        terms |= _medians(shares)
        everyone = shares.filter(pl.col("population") == "accounts")
        gaps = shares.group_by("time").agg(pl.col("gap").median())
        beside = [gaps, positioning.agreement(everyone)]
    if funding is not None:
        terms["funding"] = _funding(funding, grid)
    if taken["bought"].count():
        terms["takers"] = _imbalance(taken, step)
    scored = positioning.crowding(terms)
    for one in beside:
        scored = scored.join(one, on="time", how="left", maintain_order="left")
    return since(scored, asked.since)


def flow(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return what takers did; see `Session.flow`."""
    base = Symbol.parse(market).base if "/" in market else market
    taken = flows(reader, base, asked, step)
    if "/" in market:
        spot = pl.col("symbol").str.contains(":", literal=True).not_()
        taken = taken.filter(spot | (pl.col("symbol") == market))
    if taken.is_empty():
        raise NoSuchData(f"no trades, and no candles of {market} that fit into {step}, are stored")
    if not taken["bought"].count():
        raise NoSuchData(
            f"of {market} only volume is stored, not which of it takers bought: import candles "
            "that tell it, taker volumes or trades"
        )
    deltas = cvd.cvd(taken)
    bars = _bars(reader, market, asked, step, taken)
    if bars is None:
        return deltas
    return deltas.join(cvd.net_positions(bars), on="time", how="left", maintain_order="left")


def _bars(
    reader: Reader, market: str, asked: Asked, step: timedelta, taken: pl.DataFrame
) -> pl.DataFrame | None:
    """Return change of open interest beside what takers did; None where none is stored."""
    held = _told(reader, "open_interest", market, asked)
    if held is None:
        return None
    inverse = [s for s in held["symbol"].unique() if Symbol.parse(s).settlement == "inverse"]
    price = pl.col("value_usd") / pl.col("amount")
    # Contracts of inverse futures are dollars: their coins move where no position does.
    change = (
        pl.when(pl.col("symbol").is_in(inverse))
        .then(pl.col("value_usd").diff() / price)
        .otherwise(pl.col("amount").diff())
    )
    keys = ["time", *_MARKET]
    return (
        interest.snapshots(held, step, max(_STALE, step))
        .sort(keys)
        .select(*keys, change=change.over(_MARKET))
        .join(taken, on=keys, how="inner")
        .select(*keys, "change", "bought", "sold")
    )


def _told(reader: Reader, kind: str, market: str, asked: Asked) -> pl.DataFrame | None:
    """Return the rows of a kind; None where there is none."""
    try:
        rows = rows_of(reader, kind, market, asked)
    except NoSuchData:
        return None
    return rows if rows.height else None


def _settled(reader: Reader, market: str, asked: Asked) -> pl.DataFrame | None:
    rows = _told(reader, "funding", market, asked)
    settled = None if rows is None else rows.filter(pl.col("status") == "settled")
    return settled if settled is not None and settled.height else None


def _grid(
    ratios: pl.DataFrame | None, funding: pl.DataFrame | None, taken: pl.DataFrame, step: timedelta
) -> pl.Series:
    """Return the instants from the first that anything is known of to the last."""
    known = [one["known_at"] for one in (ratios, funding) if one is not None]
    known += [taken["time"]] if taken.height else []
    first: datetime = min(one.min() for one in known)  # type: ignore[type-var,assignment]
    last: datetime = max(one.max() for one in known)  # type: ignore[type-var,assignment]
    ends = pl.Series([first, last]).dt.truncate(step)
    return pl.datetime_range(ends[0], ends[1], step, eager=True).alias("time")


def _shares(ratios: pl.DataFrame, grid: pl.Series, oldest: timedelta) -> pl.DataFrame:
    keys = [*_MARKET, "population"]
    known = ratios.select("time", *keys, "known_at")
    told = positioning.long_short(ratios).join(known, on=["time", *keys], how="left")
    return positioning.on_grid(told, keys, grid, oldest)


def _medians(shares: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the median share over markets, of each population."""
    medians = (
        shares.drop_nulls("long_share")
        .group_by("time", "population")
        .agg(pl.col("long_share").median().alias("value"))
        .sort("time")
    )
    return {
        population: medians.filter(population=population).drop("population")
        for population in medians["population"].unique()
    }


def _funding(rows: pl.DataFrame, grid: pl.Series) -> pl.DataFrame:
    """Return the median annual rate of the last settlements."""
    settled = cost.settlement_interval(rows)
    yearly = settled.with_columns(apr=cost.apr(pl.col("rate"), pl.col("interval_hours")))
    known = positioning.on_grid(yearly, _MARKET, grid, _FUNDED).drop_nulls("apr")
    return known.group_by("time").agg(pl.col("apr").median().alias("value")).sort("time")


def _imbalance(taken: pl.DataFrame, step: timedelta) -> pl.DataFrame:
    """Return what takers of contracts bought less what they sold over a day, over both."""
    contracts = taken.filter(pl.col("symbol").str.contains(":", literal=True))
    sums = (
        contracts.drop_nulls("bought")
        .group_by("time")
        .agg(pl.col("bought", "sold").sum())
        .sort("time")
        .upsample("time", every=step)
    )
    bars = max(1, round(_DAY / step))
    bought, sold = (pl.col(name).rolling_sum(bars) for name in ("bought", "sold"))
    return sums.select(
        "time", value=pl.when(bought + sold > 0).then((bought - sold) / (bought + sold))
    )
