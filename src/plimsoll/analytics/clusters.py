"""Where predicted liquidations stand close together: the peaks of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["clusters"]

_DIP = 0.25
"""How far, as a share of a peak, the mass falls before it rises to a higher one."""
_HALF = 0.5
"""Down to which share of its height a peak is a cluster."""
_EVEN = 1e-6
_SCHEMA = {
    "side": pl.String(),
    "price_low": pl.Float64(),
    "price_high": pl.Float64(),
    "price": pl.Float64(),
    "distance": pl.Float64(),
    "value_usd": pl.Float64(),
}


def clusters(
    profile: pl.DataFrame, price: float, *, reach: float = 0.10, width: float = 0.005
) -> pl.DataFrame:
    """Return the peaks of what stands on either side of a price.

    The mass of a side is smoothed over log price: a row counts :math:`1 - d/w` at the distance
    :math:`d < w`, for a width :math:`w`. A peak is a row from which the smoothed mass falls by a
    quarter before it rises higher. Its cluster are the rows around it that hold at least half its
    height, up to the valley before another peak, from the first that holds something to the last.

    Parameters
    ----------
    profile : DataFrame
        `price_low`, `price_high` (quote per base), `long_usd`, `short_usd` (US dollars), as
        `HeatMap.profile` returns it; rows of several maps on one grid may stand together.
    price : float, quote per base
    reach : float, fraction of the price
        How far off a cluster may begin. It moves none: more reach only finds more.
    width : float, log price

    Returns
    -------
    DataFrame
        By falling dollars: `side`, `price_low` and `price_high` (the range, disjoint from others
        of its side), `price` (its mean, weighted by dollars), `distance` (fraction of the price,
        to the near edge) and `value_usd` (all that the range holds).

    Raises
    ------
    ValueError
        If price, reach or width are not positive, the width is above 1, or the rows are not all of
        one height in log price.

    Examples
    --------
    >>> edges = 100 * 1.001 ** np.arange(-30, -20)
    >>> profile = pl.DataFrame({"price_low": edges[:-1], "price_high": edges[1:],
    ...                         "long_usd": [1.0, 5, 1, 0, 0, 0, 0, 0, 4], "short_usd": [0.0] * 9})
    >>> clusters(profile, 100.0, width=0.002).select(pl.exclude("side").round(3)).rows()
    [(97.046, 97.337, 97.192, 0.027, 7.0), (97.825, 97.923, 97.874, 0.021, 4.0)]
    """
    if not (price > 0 and reach > 0 and 0 < width <= 1):
        raise ValueError(
            "clusters need a positive price, reach and width, the width at most 1; got "
            f"{price}, {reach} and {width}"
        )
    if profile.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    rows, step = _even(profile)
    low, high = rows["price_low"].to_numpy(), rows["price_high"].to_numpy()
    middle = np.sqrt(low * high)
    distances = np.arange(1 - int(width // step + 1), int(width // step + 1)) * step
    kernel = np.maximum(0.0, 1 - np.abs(distances) / width)
    found = []
    for side in ("long", "short"):
        usd = rows[f"{side}_usd"].to_numpy()
        for start, stop in _stretches(usd, kernel):
            mass = usd[start:stop]
            near = 1 - high[stop - 1] / price if side == "long" else low[start] / price - 1
            mean = float(mass @ middle[start:stop] / mass.sum())
            found.append((side, low[start], high[stop - 1], mean, max(0.0, near), mass.sum()))
    return (
        pl.DataFrame(found, schema=_SCHEMA, orient="row")
        .filter(pl.col("distance") <= reach)
        .sort("value_usd", "distance", "side", descending=[True, False, False])
    )


def _even(profile: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """Return a row for each place of the grid from the lowest price to the highest, and its step.

    Rows of one place are added up; places nobody speaks of hold nothing.
    """
    lowest: float = profile.select(pl.col("price_low").min()).item()
    steps = profile.select((pl.col("price_high") / pl.col("price_low")).log()).to_series()
    step = float(steps[0])
    places = profile.select((pl.col("price_low") / lowest).log() / step).to_series()
    uneven = max((steps - step).abs().max(), step * (places - places.round()).abs().max())  # type: ignore[type-var, operator]
    if not uneven < _EVEN:  # type: ignore[operator]
        raise ValueError("clusters need rows of one height in log price, as a map's profile has")
    summed = (
        profile.with_columns(place=places.round().cast(pl.Int64))
        .group_by("place")
        .agg(pl.col("price_low", "price_high").first(), pl.col("long_usd", "short_usd").sum())
    )
    whole = pl.DataFrame({"place": pl.int_range(int(summed["place"].max()) + 1, eager=True)})  # type: ignore[arg-type]
    edge = lowest * (pl.col("place") * step).exp()
    return (
        whole.join(summed, on="place", how="left", maintain_order="left").with_columns(
            pl.col("price_low").fill_null(edge),
            pl.col("price_high").fill_null(edge * np.exp(step)),
            pl.col("long_usd", "short_usd").fill_null(0.0),
        ),
        step,
    )


def _stretches(mass: Floats, kernel: Floats) -> list[tuple[int, int]]:
    """Return the half-open stretch of rows of each cluster."""
    reach = len(kernel) // 2
    height = np.convolve(mass, kernel)[reach : reach + len(mass)]
    basin = _basins(height)
    found = []
    for peak in np.unique(basin[basin >= 0]):
        inside = (basin == peak) & (height >= _HALF * height[peak])
        gaps = np.flatnonzero(~inside)
        start = gaps[gaps < peak].max(initial=-1) + 1
        stop = gaps[gaps > peak].min(initial=len(mass))
        held = start + np.flatnonzero(mass[start:stop])
        found.append((int(held[0]), int(held[-1]) + 1))
    return found


def _basins(height: Floats) -> NDArray[np.int64]:
    """Return for each row the peak it belongs to, -1 for a row of nothing.

    Rows are flooded from the highest down. A row where two floods meet is the valley between them:
    the lower peak counts if the valley lies deep enough below it.
    """
    basin = np.full(len(height) + 2, -1)  # a row of nothing at either end
    for row in np.argsort(-height, kind="stable"):
        if height[row] <= 0:
            break
        met = [int(peak) for peak in {basin[row], basin[row + 2]} if peak >= 0]
        if not met:
            basin[row + 1] = row
            continue
        met.sort(key=lambda peak: (-height[peak], peak))
        basin[row + 1] = met[0]
        if len(met) > 1 and height[row] > (1 - _DIP) * height[met[1]]:
            basin[basin == met[1]] = met[0]
    return basin[1:-1]
