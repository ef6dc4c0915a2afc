"""How institutional a market is: what tells of it, and the average percentile of that.

Frames have the columns of the store's tables. Answers are on a grid of days, and each day tells
what was known when it began, so that cutting off the future changes nothing before it.
"""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.analytics.funding import percentile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "PARTS",
    "REGULATED",
    "basis_gap",
    "block_share",
    "composite",
    "premium",
    "regulated_share",
    "us_hours",
    "volatility_slope",
    "weekends",
]

REGULATED = "cme"
"""The exchange of regulated futures whose basis is compared."""
PARTS: Mapping[str, int] = {
    "regulated_share": 1,
    "us_hours_share": 1,
    "coinbase_premium": 1,
    "weekend_gap": -1,
    "basis_gap": 1,
    "volatility_slope": 1,
    "block_share": 1,
}
"""What the composite is made of, and whether more of it is more or less institutional."""

_DAY = timedelta(days=1)
_REPORT = 14 * _DAY
_NEW_YORK = "America/New_York"
_FRIDAY, _SUNDAY = 5, 7
_LEAST = 30
"""Days of history without which a percentile says nothing."""
_FEW = 100
"""Trades below which a share of what was traded says nothing."""


def regulated_share(reports: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Return what share of a coin's open interest is in regulated futures, by day.

    Parameters
    ----------
    reports : DataFrame
        As of `macro.commitments`.
    held : DataFrame
        `time`, by day, and `amount` (base units): open interest elsewhere.

    Returns
    -------
    DataFrame
        `time` and `regulated_share` (fraction); a report counts from its publication, for two
        weeks.
    """
    known = reports.group_by("time").agg(
        pl.col("known_at").max(), pl.col("open_interest").first().alias("regulated")
    )
    reported = known.sort("time").select(pl.col("known_at").alias("time"), "regulated").sort("time")
    regulated = pl.col("regulated")
    return (
        held.select("time", "amount")
        .sort("time")
        .join_asof(reported, on="time", tolerance=_REPORT)
        .select("time", regulated_share=regulated / (regulated + pl.col("amount")))
    )


def _closes(candles: pl.DataFrame) -> pl.DataFrame:
    """Return the closes on the hour, and the squared return of the hour before."""
    end = pl.col("time") + pl.duration(seconds="interval")
    on_the_hour = (pl.col("interval") <= 3_600) & (end == end.dt.truncate("1h"))
    ends = candles.filter(on_the_hour).select("close", at=end).unique("at").sort("at")
    close, follows = pl.col("close"), pl.col("at").diff() == timedelta(hours=1)
    return ends.with_columns(
        local=pl.col("at").dt.convert_time_zone(_NEW_YORK),
        square=pl.when(follows).then((close / close.shift(1)).log() ** 2),
    )


def us_hours(candles: pl.DataFrame, span: timedelta = 28 * _DAY) -> pl.DataFrame:
    """Return what share of the price's movement falls into the hours of New York.

    Parameters
    ----------
    candles : DataFrame
        Rows of the `candle` table, of one market; those that end on the hour count.
    span : timedelta
        How far back to look.

    Returns
    -------
    DataFrame
        `time`, by day, and `us_hours_share` (fraction): of the sum of squared hourly returns, that
        of weekdays from nine to four in New York, for days that are over. Null where one of the
        span is not known. Were all hours alike, it would be 35 / 168.
    """
    hours = _closes(candles)
    local = pl.col("local").dt
    trading = (local.weekday() <= _FRIDAY) & local.hour().is_between(10, 16)
    known = hours.filter(pl.col("square").is_not_null())
    if not known.height:
        return pl.DataFrame(schema={"time": pl.Datetime("us", "UTC"), "us_hours_share": pl.Float64})
    daily = (
        known.with_columns(inside=pl.when(trading).then("square"))
        .group_by_dynamic("at", every="1d", closed="right", label="right")
        .agg(pl.col("square", "inside").sum())
        .upsample("at", every="1d")
        .filter(pl.col("at") <= known["at"].max())  # of a day that is not over nothing is told
    )
    inside, whole = (pl.col(name).rolling_sum(span // _DAY) for name in ("inside", "square"))
    return daily.select(time="at", us_hours_share=pl.when(whole > 0).then(inside / whole))


def weekends(candles: pl.DataFrame, weeks: int = 8) -> pl.DataFrame:
    """Return how far the price moves over weekends, beside what it moves in a day.

    Parameters
    ----------
    candles : DataFrame
        Rows of the `candle` table, of one market; those that end on the hour count.
    weeks : int
        How many weekends to average.

    Returns
    -------
    DataFrame
        `time`, by day, and `weekend_gap` (ratio): the mean absolute logarithmic move from Friday
        17:00 to Sunday 18:00 in New York, when regulated futures long stood still, over the mean
        absolute move of 24 hours in the same weeks. Null before so many weekends.
    """
    hours = _closes(candles)
    if not hours.height:
        return pl.DataFrame(schema={"time": pl.Datetime("us", "UTC"), "weekend_gap": pl.Float64})
    local = pl.col("local").dt
    shut = hours.filter((local.weekday() == _FRIDAY) & (local.hour() == 17))
    opened = hours.filter((local.weekday() == _SUNDAY) & (local.hour() == 18))
    gaps = opened.join_asof(
        shut.select("at", shut="close"), on="at", tolerance=timedelta(hours=50)
    ).select("at", gap=(pl.col("close") / pl.col("shut")).log().abs().rolling_mean(weeks))
    before = hours.select(pl.col("at") + _DAY, before="close")
    days = hours.filter(pl.col("at").dt.hour() == 0).join(before, on="at", how="left")
    moves = days.sort("at").select(
        time="at", move=(pl.col("close") / pl.col("before")).log().abs().rolling_mean(7 * weeks)
    )
    return moves.join_asof(gaps.rename({"at": "time"}), on="time", tolerance=8 * _DAY).select(
        "time", weekend_gap=pl.when(pl.col("move") > 0).then(pl.col("gap") / pl.col("move"))
    )


def premium(dollar: pl.DataFrame, tether: pl.DataFrame, peg: pl.DataFrame) -> pl.DataFrame:
    """Return how much more a coin costs in dollars than in stablecoins.

    Parameters
    ----------
    dollar, tether, peg : DataFrame
        Rows of the `candle` table; those that end on the hour count. Of the coin in dollars on
        Coinbase, of the coin in USDT, and of USDT in dollars.

    Returns
    -------
    DataFrame
        `time`, by day, and `coinbase_premium` (fraction), the mean of the day's hours, after what
        USDT itself costs.
    """
    first, second, third = (_closes(frame).select("at", "close") for frame in (dollar, tether, peg))
    prices = first.join(second, on="at", suffix="_usdt").join(third, on="at", suffix="_peg")
    over = pl.col("close") / (pl.col("close_usdt") * pl.col("close_peg")) - 1
    return (
        prices.sort("at")
        .group_by_dynamic("at", every="1d", closed="right", label="right")
        .agg(over.mean().alias("coinbase_premium"))
        .filter(pl.col("at") <= pl.lit(prices["at"].max(), prices.schema["at"]))
        .rename({"at": "time"})
    )


def basis_gap(curves: pl.DataFrame, regulated: str = REGULATED) -> pl.DataFrame:
    """Return how much more regulated futures pay over spot than others do, by day.

    Parameters
    ----------
    curves : DataFrame
        Of `basis.structure`, at days.
    regulated : str
        The exchange of regulated futures.

    Returns
    -------
    DataFrame
        `time` and `basis_gap` (fraction per year): its log basis at 30 days less the median of the
        curves of all others; null where either is not known.
    """
    month = curves.filter((pl.col("kind") == "constant") & (pl.col("maturity") == "30d"))
    own, value = pl.col("exchange") == regulated, pl.col("log")
    return (
        month.group_by("time")
        .agg(basis_gap=value.filter(own).median() - value.filter(~own).median())
        .sort("time")
    )


def volatility_slope(near: pl.DataFrame, far: pl.DataFrame) -> pl.DataFrame:
    """Return how much more volatility is implied for 90 days than for 30, by day.

    Parameters
    ----------
    near, far : DataFrame
        Of `volatility_index.index`, of one market at days, for 30 and for 90 days.

    Returns
    -------
    DataFrame
        `time` and `volatility_slope` (fraction, a year); null where either is not known. Fear is
        dear for the near, so that a rising curve is that of a calm market.
    """
    both = near.select("at", "value").join(far.select("at", far="value"), on="at")
    return both.select(time="at", volatility_slope=pl.col("far") - pl.col("value")).sort("time")


def block_share(
    trades: Iterable[pl.DataFrame], span: timedelta = 7 * _DAY, least: int = _FEW
) -> pl.DataFrame:
    """Return what share of options was traded in blocks, arranged outside the book, by day.

    Parameters
    ----------
    trades : iterable of DataFrame
        Rows of the `trade` table, of options, in pieces of any length.
    span : timedelta
        How far back to look.
    least : int
        Trades that tell where they were made, below which nothing is said.

    Returns
    -------
    DataFrame
        `time`, by day, and `block_share` (fraction): of the amount traded in the days of the span,
        which are over, among trades whose `origin` is told. Each counts from when it was known.
        Null before so many days, and where fewer than `least` trades tell.
    """
    rows = [_arranged(piece) for piece in trades if piece.height]
    if not rows:
        return pl.DataFrame(schema={"time": pl.Datetime("us", "UTC"), "block_share": pl.Float64})
    sums = pl.concat(rows).group_by("day").agg(pl.col("last").max(), pl.exclude("last").sum())
    daily = sums.sort("day").upsample("day", every="1d")
    past = {
        name: pl.col(name).fill_null(0).rolling_sum(span // _DAY)
        for name in ("count", "told", "block")
    }
    enough = (past["count"] >= least) & (past["told"] > 0)
    return daily.select(
        time=pl.col("day") + _DAY,
        block_share=pl.when(enough).then(past["block"] / past["told"]),
    ).filter(pl.col("time") <= daily["last"].max())  # of a day that is not over nothing is told


def _arranged(trades: pl.DataFrame) -> pl.DataFrame:
    """Return what was traded in each day: of known origin, in blocks, and when last."""
    amount, known = pl.col("amount"), pl.coalesce("known_at", "time")
    told = pl.col("origin").is_not_null()
    return trades.group_by(day=known.dt.truncate("1d")).agg(
        last=known.max(),
        count=told.sum().cast(pl.Int64),
        told=amount.filter(told).sum(),
        block=amount.filter(pl.col("origin") == "block").sum(),
    )


def composite(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return how institutional a market is: the average percentile of what is known.

    Parameters
    ----------
    parts : iterable of DataFrame
        Each with `time`, by day, and one of `PARTS`.

    Returns
    -------
    DataFrame
        By day on which a part is known: `time`, `score` (fraction; all parts that are known weigh
        the same), `known` (count of them) and `coverage` (fraction of all parts), each part, and
        for each `…_percentile` (fraction) among its own days so far, turned around where less of
        it is more institutional. Null before 30 days; a part that is not
        given is null throughout.
    """
    given = [part.sort("time") for part in parts if part.height]
    empty = pl.DataFrame(schema={"time": pl.Datetime("us", "UTC")})
    joined = reduce(
        lambda left, right: left.join(right, on="time", how="full", coalesce=True), given, empty
    ).sort("time")
    absent = [name for name in PARTS if name not in joined.columns]
    joined = joined.with_columns(pl.lit(None, pl.Float64).alias(name) for name in absent)
    ranked = joined.with_columns(
        _ranked(joined[name], sign).alias(f"{name}_percentile") for name, sign in PARTS.items()
    )
    ranked = ranked.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in PARTS))
    percentiles = [f"{name}_percentile" for name in PARTS]
    known = pl.sum_horizontal(pl.col(name).is_not_null() for name in percentiles)
    return ranked.select(
        "time", pl.mean_horizontal(percentiles).alias("score"),
        known.cast(pl.Int64).alias("known"), (known / len(PARTS)).alias("coverage"), *PARTS,
        *percentiles,
    )  # fmt: skip


def _ranked(values: pl.Series, sign: int) -> pl.Series:
    """Return percentiles in the past, null before enough of it is known."""
    numbers = sign * values.to_numpy().astype(np.float64)
    ranks = percentile(numbers)
    ranks[np.cumsum(~np.isnan(numbers)) < _LEAST] = np.nan
    return pl.Series(ranks).fill_nan(None)
