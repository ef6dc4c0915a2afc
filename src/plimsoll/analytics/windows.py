"""Which prices a heat map shows, and which its inventory has to keep."""

from __future__ import annotations

import numpy as np
import polars as pl

from plimsoll.analytics.inventory import Grid
from plimsoll.analytics.inventory_state import marks

__all__ = ["grids", "price_range"]

_MARGIN = 0.88  # shows tenfold leverage entered anywhere in the range, about 10 % away


def price_range(bars: pl.DataFrame) -> tuple[float, float]:
    """Return the prices a map of these bars shows: theirs, and somewhat more.

    Parameters
    ----------
    bars : DataFrame
        With some price.

    Returns
    -------
    (float, float), quote per base
    """
    low, high = bars.select(pl.col("low").min(), pl.col("high").max()).row(0)
    return _MARGIN * float(low), float(high) / _MARGIN


def grids(
    bars: pl.DataFrame,
    seen: pl.DataFrame,
    step: float,
    low: float | None,
    high: float | None,
    rows: int | None,
) -> tuple[Grid, Grid]:
    """Return the rows a map shows, and the window its inventory keeps.

    Parameters
    ----------
    bars : DataFrame
        All that the inventory moves through.
    seen : DataFrame
        Those shown.
    step : float, log price
        The width of a bucket.
    low, high : float or None, quote per base
        What is shown; None for `price_range`.
    rows : int or None
        Join neighboring buckets until no more rows than this remain.

    Returns
    -------
    (Grid, Grid)
        The window is of single buckets, and holds the rows shown and every price.

    Raises
    ------
    ValueError
        If no bar has a price, or none open interest.
    """
    lows, highs = (bars[name].drop_nulls().to_numpy() for name in ("low", "high"))
    if not len(lows) or not len(highs) or bars["open_interest"].null_count() == len(bars):
        raise ValueError("a heat map needs prices and open interest; these bars have none")
    priced = seen if seen["low"].count() else bars.drop_nulls("low").tail(1)
    near = price_range(priced)
    low, high = low or near[0], high or near[1]
    view = Grid.covering(low, high, step, rows)
    # Joined rows may begin below `low` and end above `high`; the window holds their buckets.
    ends = np.exp((np.array([view.first, view.first + view.rows]) * view.span + (0.5, -0.5)) * step)
    lowest, highest = min(ends[0], lows.min()), max(ends[1], highs.max())
    if (marked := marks(bars)) is not None:
        lowest = min(lowest, np.nanmin(marked))
        highest = max(highest, np.nanmax(marked))
    return view, Grid.covering(float(lowest), float(highest), step)
