"""Positions of wallets that can be read: what they hold, and how much of a market that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["coverage", "followed", "held", "opened"]

_WHOSE = ("exchange", "symbol", "wallet", "side")
_BEFORE = pl.col("amount").shift().over(_WHOSE).fill_null(0.0)
_NEW = (pl.col("amount") > 0) & (_BEFORE == 0)
"""Whether a row is the first of a position."""


def held(positions: pl.DataFrame, moments: pl.Series, max_age: timedelta) -> pl.DataFrame:
    """Return what each wallet held at some moments, as known then.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table.
    moments : Series of datetime, UTC
    max_age : timedelta
        How long a row stands for the present.

    Returns
    -------
    DataFrame
        For each of the moments, as `at`, and each wallet and side the newest row known by then,
        unless it is older than `max_age` or has no amount: that position is closed.
    """
    known = _known(positions)
    return (
        moments.alias("at")
        .to_frame()
        .lazy()
        .join(known.select(_WHOSE).unique(), how="cross")
        .sort("at")
        .join_asof(
            known,
            left_on="at",
            right_on="seen",
            by=_WHOSE,
            tolerance=max_age,
            check_sortedness=False,
        )
        .filter(pl.col("amount") > 0)
        .collect()
    )


def opened(positions: pl.DataFrame) -> pl.DataFrame:
    """Return each position once, as it was when it was first seen.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table.

    Returns
    -------
    DataFrame
        The first row of each wallet and side, and the first after it had no amount.
    """
    return _known(positions).filter(_NEW).collect()


def followed(positions: pl.DataFrame, since: timedelta) -> pl.DataFrame:
    """Return each position as often as it was seen, with when it was first.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table.
    since : timedelta
        Positions first seen so soon after the first look of all may be old, and are left out.

    Returns
    -------
    DataFrame
        All rows with an amount, with a number for each position, `spell`, and `opened`.
    """
    first = pl.when(_NEW).then(pl.int_range(pl.len()))
    seen = pl.col("seen")
    return (
        _known(positions)
        .with_columns(spell=first)
        .with_columns(spell=pl.col("spell").forward_fill().over(_WHOSE))
        .with_columns(opened=seen.min().over("spell"))
        .filter((pl.col("amount") > 0) & (pl.col("opened") > seen.min() + since))
        .collect()
    )


def _known(positions: pl.DataFrame) -> pl.LazyFrame:
    """Return rows by when they were `seen`, without those older than what was known by then."""
    return (
        positions.lazy()
        .with_columns(seen=pl.coalesce("known_at", "time"))
        .sort("seen", "time")
        .filter(pl.col("time") == pl.col("time").cum_max().over(_WHOSE))
        .unique((*_WHOSE, "seen"), keep="last", maintain_order=True)
    )


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
    if positions.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    ends = pl.coalesce("known_at", "time").dt.truncate(every).dt.offset_by(_text(every))
    grid = positions.select(pl.datetime_range(ends.min(), ends.max(), every)).to_series()
    sides = (
        held(positions, grid, max_age)
        .lazy()
        .sort("at", "wallet", "side")
        .group_by("at", maintain_order=True)
        .agg(
            wallets=pl.col("wallet").n_unique(),
            long=pl.col("amount").filter(pl.col("side") == "long").sum(),
            short=pl.col("amount").filter(pl.col("side") == "short").sum(),
        )
    )
    interest = open_interest.lazy().select(
        pl.coalesce("known_at", "time").alias("at"), open_interest=pl.col("amount")
    )
    joined = sides.sort("at").join_asof(interest.sort("at"), on="at", tolerance=max_age)
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
