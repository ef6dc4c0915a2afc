"""Open interest against what is traded and what exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

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
        The step of the grid; only candles that fit into it count, the shortest of each market.

    Returns
    -------
    DataFrame
        `time` (the end), `exchange`, `symbol`, `volume`, `taker_buy` (base units) and `close`
        (quote per base); null where a candle of the step is missing or tells nothing.
    """
    seconds = round(every.total_seconds())
    step, keys = f"{seconds}s", ["exchange", "symbol"]
    fits = (pl.lit(seconds) % pl.col("interval") == 0) & (pl.col("price_kind") == "trade")
    rows = candles.filter(fits)
    shortest = pl.col("interval") == pl.col("interval").min().over(keys)
    whole = pl.len() * pl.col("interval").first() == seconds

    def total(name: str) -> pl.Expr:
        known = whole & (pl.col(name).null_count() == 0)
        return pl.when(known).then(pl.col(name).sum())

    return (
        rows.filter(shortest)
        .sort("time")
        .group_by(*keys, pl.col("time").dt.truncate(step).dt.offset_by(step))
        .agg(
            total("volume").alias("volume"),
            total("taker_buy_volume").alias("taker_buy"),
            pl.when(whole).then(pl.col("close").last()).alias("close"),
        )
        .sort("time", *keys)
        .select("time", *keys, "volume", "taker_buy", "close")
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
        As `traded` returns, on the grid of `total`: of the contracts, and of the spot markets.
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
    markets = rows.group_by("exchange", "symbol").agg(pl.col("time").min().alias("_first"))
    sums = (
        rows.group_by("time")
        .agg(pl.col("volume").sum(), pl.col("volume").count().alias("known"))
        .sort("time")
    )
    listed = sums.select("time").join_asof(
        markets.sort("_first").with_columns(pl.int_range(1, pl.len() + 1).alias("listed")),
        left_on="time",
        right_on="_first",
    )
    if sums.is_empty():
        return sums.select("time", pl.col("volume").alias(name))
    grid = pl.datetime_range(pl.col("time").min(), pl.col("time").max(), every)
    whole = pl.when(pl.col("known") == pl.col("listed")).then(pl.col("volume"))
    return (
        sums.select(grid.alias("time"))
        .join(sums, on="time", how="left", maintain_order="left")
        .join(listed.select("time", "listed"), on="time", how="left", maintain_order="left")
        .select("time", whole.rolling_sum(max(1, round(over / every))).alias(name))
    )
