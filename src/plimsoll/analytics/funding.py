"""Funding: its interval, its annual rate, how long it has lasted, where venues agree.

Frames have the columns of the `funding` table. A rate is a fraction of notional for
one interval, positive where longs pay shorts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl

from plimsoll.analytics.open_interest import snapshots

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "NEUTRAL",
    "apr",
    "compounded",
    "cumulative",
    "excess",
    "history",
    "oi_weighted",
    "percentile",
    "settlement_interval",
    "sign_agreement",
    "streak",
]

Numbers = TypeVar("Numbers", float, "NDArray[np.float64]", pl.Series, pl.Expr)

NEUTRAL: dict[str, float] = dict.fromkeys(
    ("binance", "bybit", "gate", "bitget", "bitmex", "hyperliquid"), 0.1095
) | {"deribit": 0.0}
"""Simple annual rate where the premium is zero: 0.01 % of interest for every 8 hours, or none."""

_MARKET = ("exchange", "symbol")
_HOURS_A_YEAR = 24 * 365
_INTERVALS = (1, 2, 4, 8)


def settlement_interval(frame: pl.DataFrame) -> pl.DataFrame:
    """Read the hours between settlements off their times.

    Stamps are rounded to the hour, since exchanges stamp seconds to a quarter of
    an hour late. A step of 1, 2, 4 or 8 hours is an interval where the step before
    or after it is the same; so a change of interval counts, and a settlement that
    is missing or out of turn does not. Other rows take the interval that prevails,
    and the first row after a hole of more than 8 hours that of the step after it.

    Parameters
    ----------
    frame : DataFrame
        With `time`, `exchange`, `symbol`, and `status` where rows are not all
        settled.

    Returns
    -------
    DataFrame
        The same rows in the same order, with `interval_hours` (hours) replaced
        on settled rows; null where a market has a single settlement. What an
        exchange states is not looked at: keep its column first if it matters.

    Notes
    -----
    A row uses the settlements up to its own. Only the first row of a run (of a
    market, after a hole, or after a change) also uses the next one or two: two
    equal steps make a run. That adds no knowledge of the future to a study,
    because exchanges announce the interval before it begins. The newest row of a
    changed interval is corrected when the next settlement is known.

    Settlements once a day, as BitMEX had in May 2016, count as holes.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> hours = [0, 8, 16, 20, 24, 28]
    >>> frame = pl.DataFrame({
    ...     "time": [datetime(2026, 1, 1 + h // 24, h % 24, tzinfo=UTC) for h in hours],
    ...     "exchange": "binance", "symbol": "BTC/USDT:USDT",
    ... })
    >>> settlement_interval(frame)["interval_hours"].to_list()
    [8.0, 8.0, 8.0, 4.0, 4.0, 4.0]
    """
    numbered = frame.with_row_index("_row").with_columns(
        pl.col("time").dt.round("1h").alias("_hour")
    )
    settled = numbered.filter(pl.col("status") == "settled") if "status" in frame else numbered
    intervals = (
        settled.select("_hour", *_MARKET)
        .unique()
        .sort(*_MARKET, "_hour")
        .with_columns(pl.col("_hour").diff().over(_MARKET).dt.total_hours().alias("_step"))
        .with_columns(_run().over(_MARKET).alias("_run"))
        .with_columns(_prevailing().over(_MARKET).cast(pl.Float64).alias("_interval"))
    )
    stated = (
        pl.col("interval_hours") if "interval_hours" in frame else pl.lit(None, dtype=pl.Float64)
    )
    applies = pl.col("status") == "settled" if "status" in frame else pl.lit(value=True)
    return (
        numbered.join(intervals, on=["_hour", *_MARKET], how="left")
        .with_columns(
            pl.when(applies).then(pl.col("_interval")).otherwise(stated).alias("interval_hours")
        )
        .sort("_row")
        .drop("_row", "_hour", "_step", "_run", "_interval")
    )


def _run() -> pl.Expr:
    step = pl.col("_step")
    lasts = (step == step.shift(1)) | (step == step.shift(-1))
    return pl.when(step.is_in(_INTERVALS) & lasts).then(step)


def _prevailing() -> pl.Expr:
    step, run = pl.col("_step"), pl.col("_run")
    opens = step.is_null() | (step > max(_INTERVALS))
    inside = pl.when(opens).then(run.shift(-1)).otherwise(run)
    # A history too short for a run has nothing but its single steps.
    single = pl.when(step.is_in(_INTERVALS)).then(step)
    return pl.coalesce(
        inside.forward_fill(), inside.backward_fill(), single.forward_fill(), single.backward_fill()
    )


def apr(rate: Numbers, interval_hours: Numbers) -> Numbers:
    r"""Return the simple annual rate, :math:`F \cdot 24 / h \cdot 365`.

    Parameters
    ----------
    rate : float, ndarray, Series or Expr, fraction per interval
    interval_hours : the same, hours

    Returns
    -------
    The same, fraction per year

    Examples
    --------
    >>> round(apr(0.0001, 8.0), 6), round(apr(0.0001, 4.0), 6)
    (0.1095, 0.219)
    """
    return rate * _HOURS_A_YEAR / interval_hours


def compounded(rate: Numbers, interval_hours: Numbers) -> Numbers:
    r"""Return the annual rate if paid rates were reinvested, for display.

    .. math:: (1 + F)^{24 / h \cdot 365} - 1

    Parameters
    ----------
    rate : float, ndarray, Series or Expr, fraction per interval
    interval_hours : the same, hours

    Returns
    -------
    The same, fraction per year

    Examples
    --------
    >>> round(compounded(0.0001, 8.0), 5)
    0.11571
    """
    return (1 + rate) ** (_HOURS_A_YEAR / interval_hours) - 1  # type: ignore[no-any-return]


def cumulative(rates: ArrayLike, notional: float = 1.0) -> Floats:
    """Return what a long of constant notional has paid so far.

    Parameters
    ----------
    rates : array_like, shape (n,), fraction per interval
        Settled rates in order of time.
    notional : float, any currency
        The size of the position.

    Returns
    -------
    ndarray, shape (n,), unit of `notional`
        NaN from the first unknown rate on.

    Examples
    --------
    Hyperliquid's example: 0.11875 % on 10 bitcoins at 10,000.

    >>> cumulative([0.0011875, 0.0011875], notional=100_000)
    array([118.75, 237.5 ])
    """
    return notional * np.cumsum(np.asarray(rates, dtype=np.float64))


def streak(rates: ArrayLike) -> Floats:
    """Return for how many settlements the sign has lasted.

    Parameters
    ----------
    rates : array_like, shape (n,)
        In order of time.

    Returns
    -------
    ndarray, shape (n,), count
        Positive while longs pay, negative while shorts do. Zero is neither: it
        counts 0 and ends a streak. NaN where the rate is unknown, which ends one too.

    Examples
    --------
    >>> streak([0.01, 0.02, -0.01, 0.0, -0.01, -0.03])
    array([ 1.,  2., -1.,  0., -1., -2.])
    """
    signs = np.sign(np.asarray(rates, dtype=np.float64))
    index = np.arange(signs.size)
    starts = np.ones(signs.size, dtype=bool)
    starts[1:] = signs[1:] != signs[:-1]
    since = np.maximum.accumulate(np.where(starts, index, 0))
    return signs * (index - since + 1)


def percentile(values: ArrayLike, window: int | None = None) -> Floats:
    """Return where each value stands among those up to it.

    Ties share the middle of their ranks: funding rests at 0.01 % for most of the
    time, and a rest is neither high nor low.

    Parameters
    ----------
    values : array_like, shape (n,)
        In order of time; NaN where unknown.
    window : int, optional
        How many values back to look, the current one included; all by default.

    Returns
    -------
    ndarray, shape (n,), fraction
        (values below + half of those equal, itself included) / all known; NaN
        where unknown. The first is one half.

    Raises
    ------
    ValueError
        If the window is not positive.

    Examples
    --------
    >>> percentile([1.0, 1.0, 3.0, 0.0])
    array([0.5       , 0.5       , 0.83333333, 0.125     ])
    """
    if window is not None and window < 1:
        raise ValueError(f"the window must hold one value or more, not {window}")
    series = np.asarray(values, dtype=np.float64).tolist()
    shares = np.full(len(series), np.nan)
    history: list[float] = []
    for index, value in enumerate(series):
        if window is not None and index >= window and (old := series[index - window]) == old:
            del history[bisect_left(history, old)]
        if value == value:  # noqa: PLR0124 (NaN is the one float that differs from itself)
            insort(history, value)
            ranks = bisect_left(history, value) + bisect_right(history, value)
            shares[index] = ranks / (2 * len(history))
    return shares


def history(settled: pl.DataFrame) -> pl.DataFrame:
    """Return what each settlement says of its market.

    Parameters
    ----------
    settled : DataFrame
        Settled rows of the `funding` table, of any markets.

    Returns
    -------
    DataFrame
        By exchange, symbol and time: `time`, `exchange`, `symbol`, `rate` (fraction per
        interval), `interval_hours` (read off the times), `apr` (simple, fraction per year),
        `excess` (over the neutral rate), `cumulative` (paid by a long of notional one since its
        first row), `streak` (count, signed) and `percentile` (fraction) among the market's own
        settlements up to then.
    """
    measured = [
        market.with_columns(
            apr=apr(pl.col("rate"), pl.col("interval_hours")),
            cumulative=pl.Series(cumulative(market["rate"])),
            streak=pl.Series(streak(market["rate"])).fill_nan(None).cast(pl.Int64),
            percentile=pl.Series(percentile(market["rate"])),
        )
        for market in settlement_interval(settled)
        .sort(*_MARKET, "time")
        .partition_by(_MARKET, maintain_order=True)
    ]
    columns = ("time", *_MARKET, "rate", "interval_hours", "apr", "excess")
    return excess(pl.concat(measured)).select(*columns, "cumulative", "streak", "percentile")


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
        How old a report of open interest may be to stand for the present. A rate
        stands for two of its own intervals.

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
    if "status" in funding.columns and funding["status"].n_unique() > 1:
        raise ValueError("settled and predicted rates are mixed: filter to one status")
    longest = _longest(funding)
    stamped = funding.with_columns(pl.col("time").alias("_stated"))
    rates = snapshots(stamped, every, 2 * longest).with_columns(
        pl.when(
            pl.col("time") - pl.col("_stated") <= pl.duration(hours=2 * pl.col("interval_hours"))
        )
        .then(apr(pl.col("rate"), pl.col("interval_hours")))
        .alias("apr")
    )
    held = snapshots(open_interest, every, max_age).select("time", *_MARKET, "value_usd")
    both = pl.when(pl.col("apr").is_not_null()).then(pl.col("value_usd"))
    paired = rates.join(held, on=["time", *_MARKET], how="left").with_columns(both.alias("weight"))
    total = pl.col("weight").sum()
    return (
        paired.sort("time")
        .group_by("time", maintain_order=True)
        .agg(
            pl.when(total > 0).then((pl.col("weight") * pl.col("apr")).sum() / total).alias("apr"),
            (pl.col("weight").count() / pl.len()).alias("coverage"),
            pl.col("weight").count().alias("markets"),
        )
    )


def _longest(funding: pl.DataFrame) -> timedelta:
    hours = funding.select(pl.duration(hours=pl.col("interval_hours").max().fill_null(0)))
    return hours.item()  # type: ignore[no-any-return]


def excess(frame: pl.DataFrame) -> pl.DataFrame:
    """Add how far funding lies from where it rests.

    Parameters
    ----------
    frame : DataFrame
        With `exchange`, `rate` and `interval_hours`.

    Returns
    -------
    DataFrame
        With `excess` (fraction per year): the simple annual rate less the
        exchange's `NEUTRAL`; null for exchanges that are not listed there.

    Examples
    --------
    >>> frame = pl.DataFrame({"exchange": ["binance", "deribit"], "rate": 0.0001,
    ...                       "interval_hours": 8.0})
    >>> excess(frame)["excess"].round(6).to_list()
    [0.0, 0.1095]
    """
    neutral = pl.col("exchange").replace_strict(NEUTRAL, default=None, return_dtype=pl.Float64)
    annual = apr(pl.col("rate"), pl.col("interval_hours"))
    return frame.with_columns((annual - neutral).alias("excess"))


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
