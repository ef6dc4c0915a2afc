"""How unusual a smile is: its level, its slant and its wings, against their own history."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from plimsoll.analytics.funding import percentile
from plimsoll.analytics.open_interest import robust_z

__all__ = ["FEWEST", "NAMES", "SPAN", "ranked"]

NAMES = ("atm", "risk_reversal", "strangle")
SPAN = timedelta(days=90)
"""How far back a history reaches."""
FEWEST = 30
"""Moments that make a history, the last one included."""


def ranked(maturities: pl.DataFrame) -> pl.DataFrame:
    """Return the last moment's maturities, each figure ranked among its own of 90 days before.

    Parameters
    ----------
    maturities : DataFrame
        Of `surface.term_structure`, of one market, at any moments.

    Returns
    -------
    DataFrame
        The rows of the last moment, and for each `NAME` of ``atm``, ``risk_reversal`` and
        ``strangle`` its `NAME_z` (robust deviations from the median, see `open_interest.robust_z`),
        `NAME_percentile` (fraction, ties in the middle of their ranks) and `NAME_observations`, how
        many moments have it, itself included. Null where it is unknown now, before thirty, and a z
        also where half of the moments lack it or all are equal.
    """
    last = pl.col("at").max()
    recent = maturities.filter(pl.col("at") > last - SPAN).sort("at")
    rows = [
        one.tail(1).with_columns(*(column for name in NAMES for column in _of(one[name])))
        for one in recent.partition_by("days", maintain_order=True)
        if one["at"][-1] == recent["at"][-1]
    ]
    return pl.concat(rows).sort("days") if rows else maturities


def _of(values: pl.Series) -> list[pl.Series]:
    """Return the rank of the last of some values, in order of time."""
    name, known = values.name, values.count()
    z = rank = None
    if known >= FEWEST and values[-1] is not None:
        series = values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        z, rank = float(robust_z(series, len(series))[-1]), float(percentile(series)[-1])
    return [
        pl.Series(f"{name}_z", [z], dtype=pl.Float64).fill_nan(None),
        pl.Series(f"{name}_percentile", [rank], dtype=pl.Float64),
        pl.Series(f"{name}_observations", [known], dtype=pl.Int64),
    ]
