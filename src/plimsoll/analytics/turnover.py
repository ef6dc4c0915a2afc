"""Open interest against what is traded and what exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics.bars import within

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["traded", "turnover"]


def traded(candles: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return what was traded between the instants of a grid.

    Parameters
    ----------
    candles : DataFrame
        Rows of the `candle` table, of trades, of any markets.
    every : timedelta
        The step of the grid; only candles that lie inside one step count. Where those of several
        lengths do, the shortest that fill it.

    Returns
    -------
    DataFrame
        `time` (the end), `exchange`, `symbol`, `volume`, `taker_buy` (base units) and `close`
        (quote per base); null where a candle of the step is missing or tells nothing.
    """
    seconds = round(every.total_seconds())
    step, keys = f"{seconds}s", ["time", "exchange", "symbol"]
    rows = candles.filter(within(every) & (pl.col("price_kind") == "trade"))
    whole = pl.len() * pl.col("interval").first() == seconds

    def total(name: str) -> pl.Expr:
        known = whole & (pl.col(name).null_count() == 0)
        return pl.when(known).then(pl.col(name).sum())

    return (
        rows.sort("time")
        .group_by(pl.col("time").dt.truncate(step).dt.offset_by(step), *keys[1:], "interval")
        .agg(
            whole.alias("whole"),
            total("volume").alias("volume"),
            total("taker_buy_volume").alias("taker_buy"),
            pl.when(whole).then(pl.col("close").last()).alias("close"),
        )
        .sort(pl.col("whole").not_(), "interval")
        .unique(keys, keep="first")
        .sort(keys)
        .select(*keys, "volume", "taker_buy", "close")
    )


def turnover(
    total: pl.DataFrame,
    futures: pl.DataFrame,
    spot: pl.DataFrame,
    every: timedelta,
    over: timedelta,
    supply: float | None = None,
) -> pl.DataFrame:
    """Return open interest against volume, spot volume and market capitalisation.

    Parameters
    ----------
    total : DataFrame
        As `open_interest.aggregate` returns.
    futures, spot : DataFrame
        As `traded` returns, on the grid of `total`: of the contracts, and of the spot markets. A
        market with a time `since` counts from then on: when its open interest began to be told.
    every : timedelta
        The step of that grid.
    over : timedelta
        Over which volume is summed; a multiple of the step.
    supply : float, base units, optional
        Coins in existence.

    Returns
    -------
    DataFrame
        `time`, `amount` (base units), `volume` and `spot_volume` (base units over the span),
        `turnover` (volume over open interest), `to_spot` (open interest over spot volume) and
        `to_supply` (open interest over coins, which is that over market capitalisation, both at one
        price). All dimensionless in the unit of the span; null where a part is unknown.

    Notes
    -----
    A market that was silent for longer than the span has left: what it traded is not waited for,
    as it is not among what stands open either.
    """
    found = total.select("time", "amount")
    for name, rows in (("volume", futures), ("spot_volume", spot)):
        sums = _rolling(rows, every, over, name)
        found = found.join(sums, on="time", how="left", maintain_order="left")
    amount = pl.col("amount")

    def ratio(above: pl.Expr, below: pl.Expr) -> pl.Expr:
        return pl.when(below > 0).then(above / below)

    return found.with_columns(
        turnover=ratio(pl.col("volume"), amount),
        to_spot=ratio(amount, pl.col("spot_volume")),
        to_supply=ratio(amount, pl.lit(supply, pl.Float64)),
    )


def _rolling(rows: pl.DataFrame, every: timedelta, over: timedelta, name: str) -> pl.DataFrame:
    """Return volume over the span before each instant; null where any market's is not whole."""
    keys, time = ["exchange", "symbol"], pl.col("time")
    if rows.is_empty():
        return rows.select("time", pl.col("volume").alias(name))
    grid = rows.select(pl.datetime_range(time.min(), time.max(), every))
    since = pl.col("since" if "since" in rows.columns else "time").min().alias("since")
    summed = pl.col("volume").rolling_sum(max(1, round(over / every)))
    return (
        grid.join(rows.group_by(keys).agg(since), how="cross")
        .join(rows.select("time", *keys, "volume", told="time"), on=["time", *keys], how="left")
        .sort(*keys, "time")
        .with_columns(summed.over(keys), pl.col("told").forward_fill().over(keys))
        .filter(time >= pl.col("since"), pl.col("told") >= time - over)
        .group_by("time")
        .agg(pl.when(pl.col("volume").null_count() == 0).then(pl.col("volume").sum()).alias(name))
    )
