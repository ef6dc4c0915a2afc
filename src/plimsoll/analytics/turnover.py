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
        The step of the grid; only candles that fit into it count. Where those of several lengths
        do, the shortest that fill it.

    Returns
    -------
    DataFrame
        `time` (the end), `exchange`, `symbol`, `volume`, `taker_buy` (base units) and `close`
        (quote per base); null where a candle of the step is missing or tells nothing.
    """
    seconds = round(every.total_seconds())
    step, keys = f"{seconds}s", ["time", "exchange", "symbol"]
    fits = (pl.lit(seconds) % pl.col("interval") == 0) & (pl.col("price_kind") == "trade")
    rows = candles.filter(fits)
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
    sums = (
        rows.group_by("time")
        .agg(pl.col("volume").sum(), pl.col("volume").count().alias("known"))
        .sort("time")
    )
    if sums.is_empty():
        return sums.select("time", pl.col("volume").alias(name))
    grid = sums.select(pl.datetime_range(pl.col("time").min(), pl.col("time").max(), every))
    whole = pl.when(pl.col("known") == pl.col("listed")).then(pl.col("volume"))
    return (
        grid.join(sums, on="time", how="left", maintain_order="left")
        .join(_listed(rows, grid, over), on="time", how="left", maintain_order="left")
        .select("time", whole.rolling_sum(max(1, round(over / every))).alias(name))
    )


def _listed(rows: pl.DataFrame, grid: pl.DataFrame, over: timedelta) -> pl.DataFrame:
    """Return how many markets have told anything within the span before each instant."""
    keys = ["exchange", "symbol"]
    told = rows.select("time", *keys, pl.lit(value=True).alias("told")).sort("time")
    return (
        grid.join(rows.select(keys).unique(), how="cross")
        .sort("time")
        .join_asof(told, on="time", by=keys, tolerance=over, check_sortedness=False)
        .group_by("time")
        .agg(pl.col("told").count().alias("listed"))
    )
