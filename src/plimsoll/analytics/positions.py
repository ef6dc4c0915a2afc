"""Measured positions: how much of a market the wallets that can be read account for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["coverage"]


def coverage(
    positions: pl.DataFrame,
    open_interest: pl.DataFrame,
    every: timedelta,
    max_age: timedelta,
) -> pl.DataFrame:
    """Return what share of a market's open interest is seen in measured positions.

    Each wallet counts with its last position known by then, unless that is older than `max_age`.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table, of one symbol on one exchange.
    open_interest : DataFrame
        Rows of the `open_interest` table, of the same.
    every : timedelta
        The step of the grid of time.
    max_age : timedelta
        How old a position may be to stand for the present.

    Returns
    -------
    DataFrame
        `time`, `wallets` (count), `long`, `short` (base units), `open_interest` (base units),
        `long_coverage` and `short_coverage` (fractions); coverage is null where no open interest
        is known. One row for each instant of the grid at which a position was known.

    Notes
    -----
    Open interest counts one side, so that each side's coverage is at most one, but for positions
    that are older than the open interest they are compared with.
    """
    known = positions.with_columns(
        pl.coalesce("known_at", "time").dt.truncate(every).dt.offset_by(_text(every)).alias("at")
    )
    if known.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    ends = pl.col("at").min(), pl.col("at").max()
    grid = known.lazy().select(pl.datetime_range(*ends, every).alias("at"))
    newest = known.sort("time").unique(["wallet", "side", "at"], keep="last").sort("at")
    held = (
        grid.join(newest.lazy().select("wallet", "side").unique(), how="cross")
        .sort("at")
        .join_asof(
            newest.lazy().select("at", "wallet", "side", "amount", seen="at"),
            on="at",
            by=["wallet", "side"],
            tolerance=max_age,
            check_sortedness=False,
        )
        .filter(pl.col("amount") > 0)
        .group_by("at")
        .agg(
            wallets=pl.col("wallet").n_unique(),
            long=pl.col("amount").filter(pl.col("side") == "long").sum(),
            short=pl.col("amount").filter(pl.col("side") == "short").sum(),
        )
    )
    interest = open_interest.lazy().select(
        pl.coalesce("known_at", "time").alias("at"), open_interest=pl.col("amount")
    )
    joined = held.sort("at").join_asof(interest.sort("at"), on="at", tolerance=max_age)
    share = pl.when(pl.col("open_interest") > 0)
    return joined.select(
        pl.col("at").alias("time"),
        pl.col("wallets").cast(pl.Int64),
        "long",
        "short",
        "open_interest",
        long_coverage=share.then(pl.col("long") / pl.col("open_interest")),
        short_coverage=share.then(pl.col("short") / pl.col("open_interest")),
    ).collect()


_SCHEMA: dict[str, pl.DataType] = {
    "time": pl.Datetime("us", "UTC"),
    "wallets": pl.Int64(),
    "long": pl.Float64(),
    "short": pl.Float64(),
    "open_interest": pl.Float64(),
    "long_coverage": pl.Float64(),
    "short_coverage": pl.Float64(),
}


def _text(span: timedelta) -> str:
    return f"{round(span.total_seconds() * 1_000_000)}us"
