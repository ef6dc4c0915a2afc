"""Funding over many markets: its mean, how far they lie apart, where two agree.

Frames have the columns of the `funding` table. Nothing here looks ahead: a row counts
from the moment it was known, and stands for two of its own intervals. A settlement that was
known within a minute of its hour counts from the hour, so that of markets that settle together,
one of which is stamped milliseconds late, the same settlement is compared.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from plimsoll.analytics.funding import apr
from plimsoll.analytics.funding_formula import neutral
from plimsoll.analytics.open_interest import snapshots

__all__ = ["dispersion", "oi_weighted", "sign_agreement", "turnover", "volume_weighted"]

_MARKET = ("exchange", "symbol")
_LATE = timedelta(minutes=1)
_REST = 5e-9  # rates are published to the eighth decimal, or finer


def oi_weighted(
    funding: pl.DataFrame,
    open_interest: pl.DataFrame,
    every: timedelta,
    max_age: timedelta,
) -> pl.DataFrame:
    r"""Return annual funding over markets, weighted by open interest.

    .. math:: \frac{\sum_i OI_i \, \mathrm{apr}_i}{\sum_i OI_i}

    Parameters
    ----------
    funding : DataFrame
        Rows of the `funding` table of one status, with `interval_hours`.
    open_interest : DataFrame
        Rows of the `open_interest` table, with `value_usd`.
    every : timedelta
        The step of the grid.
    max_age : timedelta
        How old a report of open interest may be to stand for the present.

    Returns
    -------
    DataFrame
        One row for each instant of the funding's grid: `apr` (fraction per year,
        null where no market has both), `coverage` (fraction) of the markets that
        have ever reported a rate, and `markets` (count) in the mean.

    Raises
    ------
    ValueError
        If settled and predicted rates are mixed.
    """
    held = snapshots(open_interest, every, max_age)
    return _weighted(_annual(funding, every), held.rename({"value_usd": "weight"}))


def volume_weighted(
    funding: pl.DataFrame, traded: pl.DataFrame, every: timedelta, max_age: timedelta
) -> pl.DataFrame:
    r"""Return annual funding over markets, weighted by what was traded in a day.

    .. math:: \frac{\sum_i V_i \, \mathrm{apr}_i}{\sum_i V_i}

    Parameters
    ----------
    funding : DataFrame
        Rows of the `funding` table of one status, with `interval_hours`.
    traded : DataFrame
        What `turnover` returns.
    every : timedelta
        The step of the grid.
    max_age : timedelta
        How old a turnover may be to stand for the present.

    Returns
    -------
    DataFrame
        As of `oi_weighted`.

    Raises
    ------
    ValueError
        If settled and predicted rates are mixed.
    """
    held = snapshots(traded, every, max_age)
    return _weighted(_annual(funding, every), held.rename({"turnover": "weight"}))


def turnover(candles: pl.DataFrame) -> pl.DataFrame:
    """Return what each market traded in the day up to each candle's close.

    Parameters
    ----------
    candles : DataFrame
        Rows of the `candle` table; of each market the shortest of trades that fill the day count.

    Returns
    -------
    DataFrame
        `time` (of the close), `exchange`, `symbol` and `turnover` (quote units): volume at
        each close where the candle does not say it in quote; null while a volume is unknown
        or a candle of the day is missing.
    """
    worth = pl.coalesce("quote_volume", pl.col("volume") * pl.col("close"))
    day, hours = timedelta(days=1), pl.col("interval") / 3_600
    rows = (
        candles.filter(pl.col("price_kind") == "trade")
        .with_columns(time=pl.col("time") + pl.duration(seconds="interval"), worth=worth)
        .sort(*_MARKET, "interval", "time")
    )
    summed = rows.rolling("time", period=day, group_by=[*_MARKET, "interval"]).agg(
        turnover=pl.col("worth").sum(), known=(hours * pl.col("worth").is_not_null()).sum()
    )
    whole = pl.when(pl.col("known") >= 24).then(pl.col("turnover"))
    return (
        summed.with_columns(turnover=whole)
        .sort(pl.col("turnover").is_null(), "interval")
        .unique(["time", *_MARKET], keep="first")
        .sort(*_MARKET, "time")
        .select("time", *_MARKET, "turnover")
    )


def _weighted(rates: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    both = pl.when(pl.col("apr").is_not_null()).then(pl.col("weight"))
    total = pl.col("weight").sum()
    return (
        rates.join(held.select("time", *_MARKET, "weight"), on=["time", *_MARKET], how="left")
        .with_columns(both.alias("weight"))
        .sort("time")
        .group_by("time", maintain_order=True)
        .agg(
            pl.when(total > 0).then((pl.col("weight") * pl.col("apr")).sum() / total).alias("apr"),
            (pl.col("weight").count() / pl.len()).alias("coverage"),
            pl.col("weight").count().alias("markets"),
        )
    )


def dispersion(funding: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return how far apart markets' annual funding lies.

    Parameters
    ----------
    funding : DataFrame
        Rows of the `funding` table of one status, with `interval_hours`.
    every : timedelta
        The step of the grid.

    Returns
    -------
    DataFrame
        One row for each instant of the grid: `median`, `lowest`, `highest` and `spread`
        (highest - lowest; fractions per year; null where fewer than two markets are known),
        `lowest_market` and `highest_market` (exchange and symbol), `at_neutral` (fraction of
        the markets whose neutral rate is known; null if of none), `coverage` (fraction of the
        markets that have ever reported a rate) and `markets` (count).

    Raises
    ------
    ValueError
        If settled and predicted rates are mixed.
    """
    rates = _annual(funding, every)
    value, name = pl.col("apr"), pl.format("{} {}", *_MARKET)
    several = value.count() > 1
    rest = (value - pl.col("neutral")).abs() <= _REST * 24 * 365 / pl.col("interval_hours")
    known = value.is_not_null()
    return (
        rates.with_columns(neutral())
        .sort("time", *_MARKET)
        .group_by("time", maintain_order=True)
        .agg(
            pl.when(known.any()).then(value.median()).alias("median"),
            *(
                pl.when(several).then(figure).alias(label)
                for label, figure in (
                    ("lowest", value.min()),
                    ("highest", value.max()),
                    ("spread", value.max() - value.min()),
                    ("lowest_market", name.filter(value == value.min()).first()),
                    ("highest_market", name.filter(value == value.max()).first()),
                )
            ),
            rest.mean().alias("at_neutral"),
            (value.count() / pl.len()).alias("coverage"),
            value.count().alias("markets"),
        )
    )


def _annual(funding: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return each market's annual rate on a grid; null when it is older than two intervals."""
    if "status" in funding.columns and funding["status"].n_unique() > 1:
        raise ValueError("settled and predicted rates are mixed: filter to one status")
    stamped = _punctual(funding).with_columns(pl.col("time").alias("_stated"))
    fresh = pl.col("time") - pl.col("_stated") <= pl.duration(hours=2 * pl.col("interval_hours"))
    return snapshots(stamped, every, 2 * _longest(funding)).with_columns(
        pl.when(fresh).then(apr(pl.col("rate"), pl.col("interval_hours"))).alias("apr")
    )


def _punctual(funding: pl.DataFrame) -> pl.DataFrame:
    """Return settlements known at their hour, where they were known a little later."""
    hour = pl.col("time").dt.round("1h")
    known = pl.coalesce("known_at", "time") if "known_at" in funding.columns else pl.col("time")
    late = (known - hour).is_between(timedelta(0), _LATE)
    return funding.with_columns(
        time=pl.when(late).then(hour).otherwise("time"),
        known_at=pl.when(late).then(hour).otherwise(known),
    )


def _longest(funding: pl.DataFrame) -> timedelta:
    hours = funding.select(pl.duration(hours=pl.col("interval_hours").max().fill_null(0)))
    return hours.item()  # type: ignore[no-any-return]


def sign_agreement(left: pl.DataFrame, right: pl.DataFrame, tolerance: timedelta) -> pl.DataFrame:
    """Return how often two markets' funding has the same sign, year by year.

    Each settlement of the left is paired with the nearest of the right. Where
    several would take the same one, the nearest keeps it and the others go without.
    Between equal distances the earlier settlement wins, on either side. Stamps are
    rounded to the hour first, so that milliseconds decide nothing.

    Parameters
    ----------
    left, right : DataFrame
        With `time` and `rate`, one market each. Rows with an unknown rate are
        left out.
    tolerance : timedelta
        How far apart a pair may settle.

    Returns
    -------
    DataFrame
        `year` of the left settlement in UTC, `pairs` (count), and as fractions of
        the pairs `equal_sign` (zero equals only zero), `left_positive` and
        `right_positive`. Years without a pair have no row.

    Raises
    ------
    ValueError
        If a side holds several markets, or two rates for one hour.
    """
    ours, theirs = _hourly(left, "left"), _hourly(right, "right")
    pairs = _nearest(ours, theirs, tolerance)
    a, b = pl.col("left"), pl.col("right")
    return (
        pairs.group_by(pl.col("hour").dt.year().alias("year"))
        .agg(
            pl.len().alias("pairs"),
            (a.sign() == b.sign()).mean().alias("equal_sign"),
            (a > 0).mean().alias("left_positive"),
            (b > 0).mean().alias("right_positive"),
        )
        .sort("year")
    )


def _hourly(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    markets = [column for column in _MARKET if column in frame.columns]
    if markets and frame.select(markets).n_unique() > 1:
        raise ValueError(f"{name} holds several markets: filter to one")
    rates = (
        frame.select(pl.col("time").dt.round("1h").alias("hour"), pl.col("rate").alias(name))
        .filter(pl.col(name).is_not_null() & pl.col(name).is_not_nan())
        .sort("hour")
    )
    if rates["hour"].is_duplicated().any():
        raise ValueError(f"{name} has two rates for one hour: keep one status, and no duplicates")
    return rates


def _nearest(ours: pl.DataFrame, theirs: pl.DataFrame, tolerance: timedelta) -> pl.DataFrame:
    candidates = [
        ours.join_asof(
            theirs.with_columns(pl.col("hour").alias("match")),
            on="hour",
            strategy=strategy,
            tolerance=tolerance,
        )
        for strategy in ("backward", "forward")
    ]
    return (
        pl.concat(candidates)
        .drop_nulls("match")
        .with_columns((pl.col("match") - pl.col("hour")).abs().alias("distance"))
        .sort("distance", "match", "hour")
        .unique("hour", keep="first", maintain_order=True)
        .unique("match", keep="first", maintain_order=True)
    )
