"""How open interest grows: its candles, its growth over spans, the round marks it passed.

Frames are those of `open_interest.aggregate`: a sum for each instant of a grid, with its coverage.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import polars as pl

from plimsoll.analytics.open_interest import change

__all__ = ["MARKS", "SPANS", "candles", "growth", "milestones"]

SPANS = tuple(timedelta(hours=hours) for hours in (1, 4, 24, 168, 720, 2_160))
"""Over which growth is told: an hour, four, a day, a week, 30 days and 90."""
MARKS = (1.0, 2.0, 5.0)
"""Round marks are these times the powers of ten."""


def candles(total: pl.DataFrame, interval: timedelta) -> pl.DataFrame:
    """Return open interest as candles.

    Parameters
    ----------
    total : DataFrame
        As `open_interest.aggregate` returns, on a grid that divides `interval`.
    interval : timedelta
        The length of a candle; candles open at its multiples, in UTC.

    Returns
    -------
    DataFrame
        `time` (the open), `open`, `high`, `low`, `close` (base units), `open_usd`, `high_usd`,
        `low_usd`, `close_usd` (US dollars), `coverage` (fraction; of the instants counted) and
        `instants` (how many were). A candle is known at its close; one that is not over is not
        told. Null where nothing is known.

    Raises
    ------
    ValueError
        If the interval is no positive number of seconds.

    Notes
    -----
    The instants of a candle are those from its open to its close, both included, so that where no
    market comes or goes a candle opens where the one before closed. An instant at which fewer
    markets reported than at another of the same candle is passed over: that a market fell silent
    is no low.
    """
    if interval < timedelta(seconds=1):
        raise ValueError(f"a candle needs a length of seconds or more; got {interval}")
    every = f"{round(interval.total_seconds())}s"
    whole = total.with_columns(pl.col("time").dt.truncate(every).alias("_bar"))
    at_open = whole.filter(pl.col("time") == pl.col("_bar")).with_columns(
        pl.col("_bar").dt.offset_by(f"-{every}")
    )
    last = pl.col("time").max() - interval
    return (
        pl.concat([whole, at_open])
        .filter(
            pl.col("_bar").is_between(total.select(pl.col("time").min()).item(), last)
            if total.height
            else pl.lit(value=False)
        )
        .sort("_bar", "time")
        .filter(pl.col("markets") == pl.col("markets").max().over("_bar"))
        .group_by("_bar", maintain_order=True)
        .agg(
            *_prices("amount", ""),
            *_prices("value_usd", "_usd"),
            pl.col("coverage").min(),
            pl.len().cast(pl.Int64).alias("instants"),
        )
        .rename({"_bar": "time"})
    )


def _prices(name: str, suffix: str) -> list[pl.Expr]:
    value = pl.col(name)
    return [
        value.drop_nulls().first().alias(f"open{suffix}"),
        value.max().alias(f"high{suffix}"),
        value.min().alias(f"low{suffix}"),
        value.drop_nulls().last().alias(f"close{suffix}"),
    ]


def growth(total: pl.DataFrame, spans: tuple[timedelta, ...] = SPANS) -> pl.DataFrame:
    """Return how open interest has grown over several spans, at the last instant.

    Parameters
    ----------
    total : DataFrame
        As `open_interest.aggregate` returns; each span is a multiple of its step.
    spans : tuple of timedelta

    Returns
    -------
    DataFrame
        `time`, `hours` (of the span), `change` (base units), `relative_change` (fraction, in
        coin), `relative_change_usd` (fraction, which moves with the price too) and `doubling`
        (days to double at that pace, null where it does not grow). Null where the sum then was
        over other markets, or nothing is known.
    """
    rows = [_grown(total, span) for span in spans] if total.height else []
    return pl.DataFrame(rows, schema=_GROWTH)


_GROWTH: dict[str, Any] = {
    "time": pl.Datetime("us", "UTC"),
    "hours": pl.Float64,
    "change": pl.Float64,
    "relative_change": pl.Float64,
    "relative_change_usd": pl.Float64,
    "doubling": pl.Float64,
}


def _grown(total: pl.DataFrame, span: timedelta) -> dict[str, Any]:
    coins = change(total, span).row(-1, named=True)
    dollars = change(total.with_columns(amount=pl.col("value_usd")), span).row(-1, named=True)
    pace = coins["relative_change"]
    days = span / timedelta(days=1)
    return {
        "time": coins["time"],
        "hours": span / timedelta(hours=1),
        "change": coins["change"],
        "relative_change": pace,
        "relative_change_usd": dollars["relative_change"],
        "doubling": days * math.log(2) / math.log1p(pace) if pace and pace > 0 else None,
    }


def milestones(total: pl.DataFrame) -> pl.DataFrame:
    """Return when open interest first reached each round mark, in US dollars.

    Marks are 1, 2 and 5 times the powers of ten.

    Parameters
    ----------
    total : DataFrame
        As `open_interest.aggregate` returns.

    Returns
    -------
    DataFrame
        `mark` (US dollars) from the least reached to the greatest, `time` it was first reached,
        `coverage` then (fraction), and whether it is `above` it at the last known instant. A mark
        below which the history does not begin has been reached before, and is left out.
    """
    known = total.drop_nulls("value_usd").filter(pl.col("value_usd") > 0)
    if known.is_empty():
        return pl.DataFrame(schema=_MILESTONES)
    start, last, top = known.select(
        pl.col("value_usd").first().alias("start"),
        pl.col("value_usd").last().alias("last"),
        pl.col("value_usd").max().alias("top"),
    ).row(0)
    rows = []
    for mark in _marks(start, top):
        first = known.filter(pl.col("value_usd") >= mark).row(0, named=True)
        reached = {"mark": mark, "time": first["time"], "coverage": first["coverage_usd"]}
        rows.append({**reached, "above": last >= mark})
    return pl.DataFrame(rows, schema=_MILESTONES)


_MILESTONES: dict[str, Any] = {
    "mark": pl.Float64,
    "time": pl.Datetime("us", "UTC"),
    "coverage": pl.Float64,
    "above": pl.Boolean,
}


def _marks(above: float, until: float) -> list[float]:
    """Return the round marks in (above, until]."""
    powers = range(math.floor(math.log10(above)), math.floor(math.log10(until)) + 1)
    marks = [factor * 10.0**power for power in powers for factor in MARKS]
    return [mark for mark in marks if above < mark <= until]
