"""Open interest over many exchanges: its sum, its change, and how unusual that is.

Frames have the columns of the `open_interest` table; a market is one symbol on one
exchange. Nothing here looks ahead: a row counts from the moment it was known.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["aggregate", "change", "listed", "robust_z", "snapshots"]

_MARKET = ("exchange", "symbol")
_REPORTED = pl.any_horizontal(pl.col("amount", "value_usd").is_not_null())
# A normal sample's standard deviation over its median, and its mean, absolute deviation.
_SIGMA_PER_MEDIAN_DEVIATION = 1.4826
_SIGMA_PER_MEAN_DEVIATION = 1.2533


def snapshots(frame: pl.DataFrame, every: timedelta, max_age: timedelta) -> pl.DataFrame:
    """Return what was known of each market at each instant of a common grid.

    Parameters
    ----------
    frame : DataFrame
        With `time`, `exchange`, `symbol`, and the columns to report; with
        `known_at` too where rows became known later than their time.
    every : timedelta
        The step of the grid, whose instants are multiples of it since 1970.
    max_age : timedelta
        How old a row may be to stand for the present.

    Returns
    -------
    DataFrame
        Sorted by `time`, the grid from the first row to the last that was not too
        old when it was known, and market; one row for each market from its first
        report on. Columns other than these are those of the last row known, null
        where it is older than `max_age`.

    Notes
    -----
    A row that arrives after a newer one is passed over. Since an instant sees
    only what was known by then, cutting off the future changes nothing before it.
    """
    known = pl.coalesce("known_at", "time") if "known_at" in frame.columns else pl.col("time")
    rows = frame.with_columns(known.alias("known_at"), pl.col("time").alias("_stated")).sort(
        *_MARKET, "known_at", "time", maintain_order=True
    )
    # What was known too late to stand for any present does not prolong the grid.
    fresh = pl.col("known_at") - pl.col("_stated") <= max_age
    last = pl.coalesce(pl.col("known_at").filter(fresh).max(), pl.col("known_at").max())
    since, until = pl.col("known_at").min().dt.truncate(every), last
    grid = rows.select(
        pl.datetime_range(since, until, every).alias("known_at") if rows.height else "known_at"
    )
    markets = rows.group_by(_MARKET).agg(pl.col("known_at").min().alias("_first"))
    latest = rows.filter(pl.col("time") >= pl.col("time").cum_max().over(_MARKET))
    values = [name for name in frame.columns if name not in {"time", "known_at", *_MARKET}]
    return (
        grid.join(markets, how="cross")
        .filter(pl.col("known_at") >= pl.col("_first"))
        .sort("known_at")
        .join_asof(
            latest.drop("time").sort("known_at", maintain_order=True),
            on="known_at",
            by=list(_MARKET),
            check_sortedness=False,
        )
        .select(
            pl.col("known_at").alias("time"),
            *_MARKET,
            *(pl.when(fresh).then(pl.col(name)).alias(name) for name in values),
        )
        .sort("time", *_MARKET)
    )


def listed(frame: pl.DataFrame, every: timedelta, max_age: timedelta) -> pl.DataFrame:
    """Return the snapshots of open interest without futures that have expired.

    Parameters
    ----------
    frame : DataFrame
        Rows of the `open_interest` table.
    every, max_age : timedelta
        As of `snapshots`.

    Returns
    -------
    DataFrame
        As `snapshots`; a future is left out from its day of expiry on, once it reports no more.
    """
    return snapshots(frame, every, max_age).filter(_REPORTED | ~_is_over(frame["symbol"]))


def aggregate(frame: pl.DataFrame, every: timedelta, max_age: timedelta) -> pl.DataFrame:
    """Return the open interest of one coin, summed over its markets.

    Parameters
    ----------
    frame : DataFrame
        Rows of the `open_interest` table, all of one base currency where they have amounts.
    every : timedelta
        The step of the grid.
    max_age : timedelta
        How old a report may be to stand for the present.

    Returns
    -------
    DataFrame
        One row for each instant of the grid:

        - `amount` (base units), `value_usd` (US dollars): sums over the markets
          present; null where none is;
        - `coverage`, `coverage_usd` (fractions): the share of the markets that
          have ever reported which is in each sum;
        - `markets`, `exchanges` (counts): how many reported either.

    Raises
    ------
    ValueError
        If symbols have different base currencies.

    Notes
    -----
    A market that falls silent leaves the sum, and its coverage falls below one:
    a sum is comparable with another only at the same coverage. A market that has
    ended counts as silent, but for a future from its day of expiry on: that is over.
    """
    _one_base(frame)
    # The sum of nothing is unknown, not zero.
    sums = [
        pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
        for name in ("amount", "value_usd")
    ]
    return (
        listed(frame, every, max_age)
        .group_by("time", maintain_order=True)
        .agg(
            *sums,
            (pl.col("amount").count() / pl.len()).alias("coverage"),
            (pl.col("value_usd").count() / pl.len()).alias("coverage_usd"),
            _REPORTED.sum().alias("markets"),
            pl.col("exchange").filter(_REPORTED).n_unique().alias("exchanges"),
        )
    )


def _is_over(symbols: pl.Series) -> pl.Expr:
    """Return whether the symbol of a row is a future or option that has expired by its time."""
    expiries = {symbol: Symbol.parse(symbol).expiry for symbol in symbols.unique()}
    expiry = pl.col("symbol").replace_strict(expiries, return_dtype=pl.Date)
    return (pl.col("time").dt.date() >= expiry).fill_null(value=False)


def _one_base(frame: pl.DataFrame) -> None:
    counted = frame.filter(pl.col("amount").is_not_null())["symbol"]
    bases = {Symbol.parse(symbol).base for symbol in counted.unique()}
    if len(bases) > 1:
        raise ValueError(
            f"amounts of {', '.join(sorted(bases))} cannot be added: give one base currency"
        )


def change(frame: pl.DataFrame, span: timedelta) -> pl.DataFrame:
    """Add how much open interest has changed over a span, in coin.

    Dollars would move with the price; coins move only when positions do.

    Parameters
    ----------
    frame : DataFrame
        With `time` on a grid and `amount`: an aggregate, or the reports of markets
        told apart by `exchange` and `symbol`.
    span : timedelta
        How far back to compare; a multiple of the grid's step.

    Returns
    -------
    DataFrame
        With `change` (base units) and `relative_change` (fraction of the amount
        then). Null where nothing is known of a span ago, and where the sum then
        was over another number of markets or another share of them.
    """
    same = [name for name in ("coverage", "markets") if name in frame.columns]
    keys = ["time", *(name for name in _MARKET if name in frame.columns)]
    before = frame.select(
        pl.col("time") + span,
        *keys[1:],
        pl.col("amount").alias("_before"),
        *(pl.col(name).alias(f"_{name}") for name in same),
    )
    difference = pl.when(
        pl.all_horizontal(
            pl.lit(value=True), *(pl.col(name) == pl.col(f"_{name}") for name in same)
        )
    ).then(pl.col("amount") - pl.col("_before"))
    return (
        frame.join(before, on=keys, how="left", maintain_order="left")
        .with_columns(difference.alias("change"))
        .with_columns(
            pl.when(pl.col("_before") > 0)
            .then(pl.col("change") / pl.col("_before"))
            .alias("relative_change")
        )
        .drop("_before", *(f"_{name}" for name in same))
    )


def robust_z(values: ArrayLike, window: int) -> Floats:
    r"""Return how far each value lies from those before it, in robust deviations.

    .. math:: z = \frac{x - \tilde x}{1.4826 \,\mathrm{median}\,|x_i - \tilde x|}

    Parameters
    ----------
    values : array_like, shape (n,)
        In order of time; NaN where unknown.
    window : int
        How many values to compare with, the current one included.

    Returns
    -------
    ndarray, shape (n,), dimensionless
        NaN where the value is unknown, before `window` values, and where fewer
        than half of them are known or all known ones are equal.

    Raises
    ------
    ValueError
        If the window is shorter than three.

    Notes
    -----
    Where more than half the values agree the median deviation is zero; the mean
    absolute deviation times 1.2533 then takes its place.

    References
    ----------
    .. [1] Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993.

    Examples
    --------
    >>> robust_z([1, 2, 3, 4, 100], window=5).round(2)
    array([  nan,   nan,   nan,   nan, 65.43])
    """
    if window < 3:
        raise ValueError(f"a window of {window} has no spread: give three or more")
    series = np.asarray(values, dtype=np.float64).tolist()
    scores = np.full(len(series), np.nan)
    sample: list[float] = []
    for index, value in enumerate(series):
        if value == value:  # noqa: PLR0124 (NaN is the one float that differs from itself)
            insort(sample, value)
        if index >= window and (old := series[index - window]) == old:
            del sample[bisect_left(sample, old)]
        if index + 1 >= window and 2 * len(sample) >= window:
            scores[index] = _score(value, sample)
    return scores


def _score(value: float, sample: list[float]) -> float:
    count = len(sample)
    median = (sample[(count - 1) // 2] + sample[count // 2]) / 2
    lower = _deviation(sample, median, (count - 1) // 2)
    spread = _SIGMA_PER_MEDIAN_DEVIATION * (lower + _deviation(sample, median, count // 2)) / 2
    if spread == 0:
        spread = _SIGMA_PER_MEAN_DEVIATION * float(np.abs(np.array(sample) - median).mean())
    return (value - median) / spread if spread > 0 else np.nan


def _deviation(sample: list[float], median: float, rank: int) -> float:
    """Return the deviation of that rank from zero, in the logarithm of the sample's size.

    The `rank + 1` values nearest to the median are neighbors in the sorted sample; the search
    is for where they start.
    """
    low, high = 0, len(sample) - rank - 1
    while low < high:
        middle = (low + high) // 2
        if median - sample[middle] > sample[middle + rank + 1] - median:
            low = middle + 1
        else:
            high = middle
    return max(median - sample[low], sample[low + rank] - median)
