"""How long funding stays as it is: its signs, its half-life, its rests, its limits.

Frames have the columns of the `funding` table and hold settled rates, with `interval_hours`
as `funding.settlement_interval` reads it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.analytics.funding import apr, streak
from plimsoll.analytics.funding_formula import neutral

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["autocorrelation", "half_life", "interval_changes", "persistence"]

_MARKET = ("exchange", "symbol")
_FEWEST = 30
_REPEATED = 3
_REST = 5e-9  # rates are published to the eighth decimal, or finer
_COLUMNS = {
    "exchange": pl.String(),
    "symbol": pl.String(),
    "year": pl.Int32(),
    "since": pl.Datetime("us", "UTC"),
    "until": pl.Datetime("us", "UTC"),
    "settlements": pl.Int64(),
    "interval_hours": pl.Float64(),
    "interval_changes": pl.Int64(),
    "mean_apr": pl.Float64(),
    "positive": pl.Float64(),
    "negative": pl.Float64(),
    "at_neutral": pl.Float64(),
    "at_cap": pl.Float64(),
    "longest_streak": pl.Int64(),
    "autocorrelation": pl.Float64(),
    "half_life_hours": pl.Float64(),
    "reason": pl.String(),
}


def interval_changes(settled: pl.DataFrame) -> pl.DataFrame:
    """Return when a market began to settle at another interval.

    Parameters
    ----------
    settled : DataFrame

    Returns
    -------
    DataFrame
        `time` of the first settlement of the new interval, `exchange`, `symbol`,
        `interval_before` and `interval_hours` (hours), by market and time.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> frame = pl.DataFrame({
    ...     "time": [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (0, 8, 12)],
    ...     "exchange": "binance", "symbol": "BTC/USDT:USDT", "interval_hours": [8.0, 8.0, 4.0],
    ... })
    >>> interval_changes(frame).select("interval_before", "interval_hours").rows()
    [(8.0, 4.0)]
    """
    before = pl.col("interval_hours").shift(1).over(_MARKET)
    return (
        settled.drop_nulls("interval_hours")
        .sort(*_MARKET, "time")
        .with_columns(interval_before=before)
        .filter(pl.col("interval_before") != pl.col("interval_hours"))
        .select("time", *_MARKET, "interval_before", "interval_hours")
    )


def autocorrelation(values: ArrayLike, follows: ArrayLike | None = None) -> float:
    r"""Return how much of a value's distance from the mean the next one keeps.

    .. math:: \phi = \frac{\sum_t (x_t - \bar x)(x_{t-1} - \bar x')}{\sum_t (x_{t-1} - \bar x')^2}

    The slope of a first-order autoregression, over pairs of neighbours: the means are those
    of the later and of the earlier values of the pairs.

    Parameters
    ----------
    values : array_like, shape (n,)
        In order of time; a pair with NaN is left out.
    follows : array_like of bool, shape (n,), optional
        Whether a value is the next one after the value before it; all are if left out.

    Returns
    -------
    float
        NaN for fewer than 30 pairs, or if the earlier values are all equal.
    """
    series = np.asarray(values, dtype=np.float64)
    earlier, later = series[:-1], series[1:]
    paired = ~np.isnan(earlier) & ~np.isnan(later)
    if follows is not None:
        paired &= np.asarray(follows, dtype=bool)[1:]
    earlier, later = earlier[paired], later[paired]
    if earlier.size < _FEWEST or np.ptp(earlier) == 0:
        return math.nan
    centred = earlier - earlier.mean()
    return float(centred @ (later - later.mean()) / (centred @ centred))


def half_life(autocorrelation: float) -> float:
    r"""Return after how many steps half of a distance from the mean is left, on average.

    .. math:: \frac{\ln 0.5}{\ln \phi}

    Parameters
    ----------
    autocorrelation : float

    Returns
    -------
    float
        Steps; NaN unless :math:`0 < \phi < 1`, since nothing then decays by halves.

    Examples
    --------
    >>> half_life(0.5), round(half_life(0.9), 4)
    (1.0, 6.5788)
    """
    inside = 0 < autocorrelation < 1
    return math.log(0.5) / math.log(autocorrelation) if inside else math.nan


def persistence(settled: pl.DataFrame, *, by_year: bool = False) -> pl.DataFrame:
    """Return how long each market's funding stays as it is.

    Parameters
    ----------
    settled : DataFrame
    by_year : bool
        A row for each year (UTC) of each market, instead of one for each market.

    Returns
    -------
    DataFrame
        `exchange`, `symbol`, `year` (null unless `by_year`), `since`, `until`, `settlements`,
        `interval_hours` (the newest), `interval_changes`, `mean_apr` (simple, fraction per
        year, weighted by time), shares of the settlements (fractions) that were `positive`,
        `negative`, `at_neutral` (exactly; null where no neutral rate is known) and `at_cap`,
        `longest_streak` (count, signed), `autocorrelation`, `half_life_hours`, and the
        `reason` why the half-life is null.

    Notes
    -----
    Caps differ by market and change. They are read off the settlements, year by year (UTC): the
    largest and the least rate of a year, if settled three times or more and not the neutral one.
    `at_cap` is null where there is none such.

    The half-life is over settlements that follow each other at the newest interval, without
    a hole between; a distance is from the mean of those.
    """
    keys = [*_MARKET, "year"] if by_year else list(_MARKET)
    year = pl.col("time").dt.year() if by_year else pl.lit(None, dtype=pl.Int32)
    rows = settled.with_columns(neutral(), year=year).sort(*_MARKET, "time")
    found = [_of(market) for market in rows.partition_by(keys, maintain_order=True)]
    return pl.DataFrame(found, schema=_COLUMNS)


def _of(market: pl.DataFrame) -> dict[str, Any]:
    rates, hours = market["rate"], market["interval_hours"].drop_nulls()
    newest = hours[-1] if len(hours) else None
    annual = apr(market["rate"], market["interval_hours"])
    signs = rates.sign()
    return {
        **market.select(*_MARKET, "year").row(0, named=True),
        "since": market["time"][0],
        "until": market["time"][-1],
        "settlements": market.height,
        "interval_hours": newest,
        "interval_changes": interval_changes(market).height,
        "mean_apr": _mean(rates.to_numpy(), market["interval_hours"].to_numpy()),
        "positive": (signs > 0).mean(),
        "negative": (signs < 0).mean(),
        "at_neutral": _resting(market).mean(),
        "at_cap": _share_capped(market),
        "longest_streak": _longest(rates),
        **_decay(market.with_columns(apr=annual), newest),
    }


def _mean(rates: NDArray[np.float64], hours: NDArray[np.float64]) -> float | None:
    """Return the simple annual rate of all settlements, over the hours they were for."""
    total = apr(float(rates.sum()), float(hours.sum()))
    return None if math.isnan(total) else total


def _resting(market: pl.DataFrame) -> pl.Series:
    rest = pl.col("neutral") * pl.col("interval_hours") / (24 * 365)
    return market.select((pl.col("rate") - rest).abs() <= _REST).to_series()


def _share_capped(market: pl.DataFrame) -> float | None:
    """Return the share of settlements at a cap of their year; None if no year has any."""
    years = market.group_by(pl.col("time").dt.year(), maintain_order=True)
    found = sum(_capped(year) for _, year in years)
    return found / market.height if found else None


def _capped(market: pl.DataFrame) -> int:
    """Return how many settlements are at an extreme that repeats."""
    resting = _resting(market).fill_null(value=False)
    annual = apr(market["rate"], market["interval_hours"]).round(6)
    edges = {annual.max(), annual.min()} - {None}
    at = [((annual == edge) & ~resting).sum() for edge in edges]
    return sum(int(count) for count in at if count >= _REPEATED)


def _longest(rates: pl.Series) -> int | None:
    runs = pl.Series(streak(rates)).fill_nan(None).drop_nulls()
    longest = max(runs, key=abs, default=None)
    return None if longest is None else int(longest)


def _decay(market: pl.DataFrame, hours: float | None) -> dict[str, Any]:
    """Return the first-order autoregression of the annual rate at one interval."""
    if hours is None:
        return {"reason": "one settlement says no interval"}
    step = pl.col("time").dt.round("1h").diff().dt.total_hours()
    same = pl.col("interval_hours") == hours
    follows = market.select(((step == hours) & same & same.shift(1)).fill_null(value=False))
    kept = autocorrelation(market["apr"], follows.to_series())
    steps = half_life(kept)
    reason = None
    if math.isnan(kept):
        reason = f"fewer than {_FEWEST} pairs of settlements in a row, or no change in them"
    elif math.isnan(steps):
        reason = "a high settlement is not followed by a high one"
    return {
        "autocorrelation": None if math.isnan(kept) else kept,
        "half_life_hours": None if math.isnan(steps) else steps * hours,
        "reason": reason,
    }
