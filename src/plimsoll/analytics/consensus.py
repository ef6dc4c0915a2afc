"""The open interest of all exchanges that can be believed, and who was left out.

A market's grade (`grading`) is taken again and again, each time of the week before, so that a sum
never knows of a fault before it could be seen.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.analytics import detectors
from plimsoll.analytics.grading import WINDOW, grades
from plimsoll.analytics.verdict import GRADES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plimsoll.analytics.grading import Panel

__all__ = ["graded", "sound"]

_AGAIN = timedelta(hours=6)
"""How often a sum is graded anew."""


def graded(held: Panel) -> pl.DataFrame:
    """Grade the open interest of each market again and again, each time by the week before.

    Returns
    -------
    DataFrame
        What `grades` returns of ``open_interest``, for each moment it was graded at; none before
        a day of reports.
    """
    again, day = max(1, round(_AGAIN / held.step)), round(timedelta(days=1) / held.step)
    size = round(WINDOW / held.step)
    made = [
        grades(held.between(max(0, end - size), end), ("open_interest",))
        for end in range(max(day, again), len(held.time) + 1, again)
    ]
    return pl.concat(made) if made else pl.DataFrame(schema=GRADES)


def sound(held: Panel, given: pl.DataFrame) -> pl.DataFrame:
    """Return the open interest of the markets that were not graded D when it was told.

    Parameters
    ----------
    held : Panel
    given : DataFrame
        As `graded` returns.

    Returns
    -------
    DataFrame
        `time`, `value_usd` (sum, null where there is none), `consensus` (fraction; the weighted
        median of the markets' changes over a day, each in what its contracts count), `markets` and
        `exchanges` (counts in the sum), `coverage` (fraction of the markets seen so far), and
        `left_out` (exchange and symbol of those graded D then). Before the first grade all count.
    """
    bad = _left_out(held, given)
    usd = np.where(bad, np.nan, held.usd)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(np.where(held.held > 0, held.held, np.nan))
    day = max(1, round(timedelta(days=1) / held.step))
    change = np.full(log.shape, np.nan)
    change[day:] = log[day:] - log[:-day]
    agreed = detectors.weighted_median(change, detectors.weights(usd))
    present, seen = ~np.isnan(usd), np.cumsum(~np.isnan(held.usd), axis=0) > 0
    count = present.sum(axis=1)
    names = [" ".join(market) for market in held.markets]
    owners = np.array([exchange for exchange, _ in held.markets])
    return pl.DataFrame(
        {
            "time": held.time,
            "value_usd": np.where(count > 0, np.where(present, usd, 0.0).sum(axis=1), np.nan),
            "consensus": np.expm1(agreed),
            "markets": count,
            "exchanges": [len(set(owners[row])) for row in present],
            "coverage": count / np.maximum(seen.sum(axis=1), 1),
            "left_out": [_named(names, row) for row in bad],
        },
        schema_overrides={"left_out": pl.List(pl.String)},
    ).with_columns(pl.col("value_usd", "consensus").fill_nan(None))


def _named(names: Sequence[str], chosen: NDArray[np.bool_]) -> list[str]:
    return [name for name, left in zip(names, chosen, strict=True) if left]


def _left_out(held: Panel, given: pl.DataFrame) -> NDArray[np.bool_]:
    """Return which markets were graded D at the last grading by each instant."""
    bad = np.zeros(held.held.shape, dtype=np.bool_)
    for at, (exchange, symbol) in enumerate(held.markets):
        own = given.filter(exchange=exchange, symbol=symbol, metric="open_interest")
        if own.is_empty():
            continue
        flagged = own.sort("time").select("time", left=pl.col("grade") == "D")
        joined = held.time.alias("time").to_frame().join_asof(flagged, on="time")
        bad[:, at] = joined["left"].fill_null(value=False).to_numpy()
    return bad
