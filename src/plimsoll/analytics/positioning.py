"""Who stands long and short: by accounts, by the largest, by takers, and how crowded that is.

Ratios of accounts count heads. Contracts have one long for each short, whatever the heads; a ratio
of accounts says on which side the small ones are, and nothing of dollars.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.analytics.funding import percentile

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HIGH",
    "LOW",
    "POPULATIONS",
    "TERMS",
    "agreement",
    "crowding",
    "long_short",
    "on_grid",
    "ranked",
]

POPULATIONS = ("accounts", "top_accounts", "top_positions")
TERMS = (*POPULATIONS, "takers", "funding")
"""What crowding is made of; each is high where longs are many, or pay much."""
HIGH, LOW = 0.8, 0.2
"""From these percentiles on an exchange counts as crowded with longs, or with shorts."""
_MARKET = ["exchange", "symbol"]
_FEWEST = 30
"""Values in a history that a percentile can be taken of."""
_HISTORY = "180d"


def ranked(frame: pl.DataFrame, name: str, by: list[str]) -> pl.DataFrame:
    """Add where each value stands in its own history of half a year, as `NAME_percentile`.

    Parameters
    ----------
    frame : DataFrame
        With `time`, the column and those that tell series apart.
    name : str
    by : list of str

    Returns
    -------
    DataFrame
        Sorted by series and time; a fraction, ties in the middle of their ranks, null where
        unknown and before thirty values. Of fewer in half a year, the last thirty are taken.
    """
    ordered = frame.sort(*by, "time")
    if ordered.is_empty():
        return ordered.with_columns(pl.lit(None, pl.Float64).alias(f"{name}_percentile"))
    made = []
    for one in ordered.partition_by(by, maintain_order=True) if by else [ordered]:
        values = one[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        oldest = one["time"].search_sorted(one["time"].dt.offset_by(f"-{_HISTORY}"), side="right")
        window = np.maximum(np.arange(1, one.height + 1) - oldest.to_numpy(), _FEWEST)
        ranks = pl.Series(f"{name}_percentile", percentile(values, window)).fill_nan(None)
        enough = one[name].is_not_null().cum_sum() >= _FEWEST
        made.append(one.with_columns(pl.when(enough).then(ranks).alias(f"{name}_percentile")))
    return pl.concat(made)


def long_short(ratios: pl.DataFrame) -> pl.DataFrame:
    """Return what each exchange says of who is long, and where that stands in its own history.

    Parameters
    ----------
    ratios : DataFrame
        Rows of the `long_short_ratio` table.

    Returns
    -------
    DataFrame
        By exchange, symbol, population and time: `time`, `exchange`, `symbol`, `population`,
        `ratio` (longs per short), `long_share` (fraction; ratio / (1 + ratio) where only that is
        told), `percentile` (fraction, of the share in its own history) and `gap`: of
        ``top_positions``, its share less that of all accounts of the market then; else null.

    Notes
    -----
    Where a share is told and no ratio, the ratio is share / (1 - share); a share of one has none.
    """
    share = pl.coalesce("long_share", pl.col("ratio") / (1 + pl.col("ratio")))
    ratio = pl.when(share < 1).then(share / (1 - share))
    columns = ["time", *_MARKET, "population"]
    told = ratios.with_columns(long_share=share).with_columns(
        ratio=pl.coalesce(pl.col("ratio"), ratio)
    )
    found = ranked(
        told.select(*columns, "known_at", "ratio", "long_share"),
        "long_share",
        [*_MARKET, "population"],
    )
    everyone = (
        found.filter(pl.col("population") == "accounts")
        .select("known_at", *_MARKET, pl.col("long_share").alias("_all"))
        .sort("known_at")
    )
    gap = pl.when(pl.col("population") == "top_positions").then(
        pl.col("long_share") - pl.col("_all")
    )
    return (
        found.sort("known_at")
        .join_asof(
            everyone,
            on="known_at",
            by=_MARKET,
            tolerance=timedelta(hours=2),
            check_sortedness=False,
        )
        .with_columns(gap=gap, percentile=pl.col("long_share_percentile"))
        .sort(*_MARKET, "population", "time")
        .select(*columns, "ratio", "long_share", "percentile", "gap")
    )


def on_grid(
    frame: pl.DataFrame, by: list[str], grid: pl.Series, max_age: timedelta
) -> pl.DataFrame:
    """Return the last row of each series known by each instant.

    Parameters
    ----------
    frame : DataFrame
        With `known_at`, and the columns that tell series apart.
    by : list of str
    grid : Series of datetime
    max_age : timedelta
        A row that was known longer ago stands for the present no more.
    """
    series = frame.select(by).unique()
    asked = grid.alias("time").to_frame().join(series, how="cross").sort("time")
    rows = frame.drop("time", strict=False).sort("known_at")
    return asked.join_asof(
        rows,
        left_on="time",
        right_on="known_at",
        by=by,
        tolerance=max_age,
        check_sortedness=False,
    ).sort("time", *by)


def agreement(shares: pl.DataFrame) -> pl.DataFrame:
    """Return on how many exchanges longs, or shorts, are crowded at the same time.

    Parameters
    ----------
    shares : DataFrame
        `time`, `exchange` and `percentile`, one row or more for each exchange.

    Returns
    -------
    DataFrame
        `time`, `exchanges` (count of those whose percentile is known), `agree_long` and
        `agree_short` (how many stand at 0.8 and above, at 0.2 and below, by the median of their
        markets).
    """
    rank = pl.col("percentile")
    return (
        shares.group_by("time", "exchange")
        .agg(rank.median())
        .group_by("time")
        .agg(
            rank.count().cast(pl.Int64).alias("exchanges"),
            (rank >= HIGH).sum().cast(pl.Int64).alias("agree_long"),
            (rank <= LOW).sum().cast(pl.Int64).alias("agree_short"),
        )
        .sort("time")
    )


def crowding(terms: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return one score of how crowded a side is, with all that it is made of.

    Parameters
    ----------
    terms : mapping of str to DataFrame
        Of some of `TERMS`, each `time` on one grid and a `value`.

    Returns
    -------
    DataFrame
        By time, of each term `NAME` (its value) and `NAME_percentile` (fraction, in its own
        history); `terms` (how many are known) and `crowding`: the mean of 2 p - 1 over the terms
        known, times 100. So 100 is all terms at their highest, longs crowded, and -100 all at their
        lowest, shorts crowded; null unless two or more are known.

    Notes
    -----
    All terms have the same weight: no outcome was looked at to choose any.
    """
    found = pl.concat([one.select("time") for one in terms.values()]).unique().sort("time")
    for name in TERMS:
        if name not in terms:
            found = found.with_columns(
                pl.lit(None, pl.Float64).alias(column) for column in (name, f"{name}_percentile")
            )
            continue
        one = ranked(terms[name].select("time", pl.col("value").alias(name)), name, [])
        found = found.join(one, on="time", how="left", maintain_order="left")
    ranks = [pl.col(f"{name}_percentile") for name in TERMS]
    count = pl.sum_horizontal(rank.is_not_null().cast(pl.Int64) for rank in ranks)
    mean = pl.mean_horizontal(2 * rank - 1 for rank in ranks)
    return found.with_columns(terms=count, crowding=pl.when(count >= 2).then(100 * mean)).select(
        "time", "crowding", "terms", *_columns()
    )


def _columns() -> list[Any]:
    return [column for name in TERMS for column in (name, f"{name}_percentile")]
