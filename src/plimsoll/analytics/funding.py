"""Funding of one market: its interval, its annual rate, how long it has lasted, how unusual.

Frames have the columns of the `funding` table. A rate is a fraction of notional for
one interval, positive where longs pay shorts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl

from plimsoll.analytics.funding_formula import neutral

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "apr",
    "compounded",
    "cumulative",
    "excess",
    "history",
    "percentile",
    "settlement_interval",
    "streak",
    "ties",
]

Numbers = TypeVar("Numbers", float, "NDArray[np.float64]", pl.Series, pl.Expr)

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


def percentile(values: ArrayLike, window: ArrayLike | None = None) -> Floats:
    """Return where each value stands among those up to it.

    Ties share the middle of their ranks: funding rests at 0.01 % for most of the
    time, and a rest is neither high nor low.

    Parameters
    ----------
    values : array_like, shape (n,)
        In order of time; NaN where unknown.
    window : int or array_like of int, shape (n,), optional
        How many values back to look, the current one included; all by default. What one value no
        longer sees, no later one does.

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
    series = np.asarray(values, dtype=np.float64).tolist()
    shares = np.full(len(series), np.nan)
    sizes = np.broadcast_to(len(series) + 1 if window is None else window, len(series))
    if np.any(sizes < 1):
        raise ValueError(f"the window must hold one value or more, not {sizes.min()}")
    history: list[float] = []
    oldest = 0
    for index, (value, size) in enumerate(zip(series, sizes.tolist(), strict=True)):
        while index - oldest >= size:
            if (old := series[oldest]) == old:
                del history[bisect_left(history, old)]
            oldest += 1
        if value == value:  # noqa: PLR0124 (NaN is the one float that differs from itself)
            insort(history, value)
            ranks = bisect_left(history, value) + bisect_right(history, value)
            shares[index] = ranks / (2 * len(history))
    return shares


def ties(values: ArrayLike) -> Floats:
    """Return how many of the values up to each are equal to it.

    Where this is much, a percentile says little: funding that rests at its neutral
    rate stands in the middle of a block, wherever the block lies.

    Parameters
    ----------
    values : array_like, shape (n,)
        In order of time; NaN where unknown.

    Returns
    -------
    ndarray, shape (n,), fraction
        Itself included, of all known; NaN where unknown.

    Examples
    --------
    >>> ties([1.0, 1.0, 3.0, 1.0])
    array([1.        , 1.        , 0.33333333, 0.75      ])
    """
    series = np.asarray(values, dtype=np.float64)
    shares, known = np.full(series.size, np.nan), 0
    seen: Counter[float] = Counter()
    for index, value in enumerate(series.tolist()):
        if value == value:  # noqa: PLR0124 (NaN is the one float that differs from itself)
            known += 1
            seen[value] += 1
            shares[index] = seen[value] / known
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
        first row), `streak` (count, signed), and among the market's own settlements up to then
        `percentile` and `ties` (fractions).
    """
    measured = [
        market.with_columns(
            apr=apr(pl.col("rate"), pl.col("interval_hours")),
            cumulative=pl.Series(cumulative(market["rate"])),
            streak=pl.Series(streak(market["rate"])).fill_nan(None).cast(pl.Int64),
            percentile=pl.Series(percentile(market["rate"])),
            ties=pl.Series(ties(market["rate"])),
        )
        for market in settlement_interval(settled)
        .sort(*_MARKET, "time")
        .partition_by(_MARKET, maintain_order=True)
    ]
    columns = ("time", *_MARKET, "rate", "interval_hours", "apr", "excess")
    return excess(pl.concat(measured)).select(
        *columns, "cumulative", "streak", "percentile", "ties"
    )


def excess(frame: pl.DataFrame) -> pl.DataFrame:
    """Add how far funding lies from where it rests.

    Parameters
    ----------
    frame : DataFrame
        With `time`, `exchange`, `symbol`, `rate` and `interval_hours`.

    Returns
    -------
    DataFrame
        With `excess` (fraction per year): the simple annual rate less what
        `funding_formula.neutral` says; null where that is unknown.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> frame = pl.DataFrame({"time": datetime(2026, 1, 1, tzinfo=UTC),
    ...                       "exchange": ["binance", "deribit"], "symbol": "BTC/USD:BTC",
    ...                       "rate": 0.0001, "interval_hours": 8.0})
    >>> excess(frame)["excess"].round(6).to_list()
    [0.0, 0.1095]
    """
    annual = apr(pl.col("rate"), pl.col("interval_hours"))
    return frame.with_columns((annual - neutral()).alias("excess"))
