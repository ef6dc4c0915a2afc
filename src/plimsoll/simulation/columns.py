"""Whole numbers of a simulated market as columns: times, and amounts of lots."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.market.schema import TIME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

__all__ = ["digits", "moment", "scaled", "times"]


def digits(tick: float) -> int:
    """Return how many decimals a price has."""
    return max(0, -math.floor(math.log10(tick) + 0.5))


def scaled(whole: Whole, lot: float) -> Floats:
    """Return lots in units, each the float nearest to its decimal."""
    return np.asarray(whole / round(1 / lot) if lot < 1 else whole * lot)


def times(micros: Whole) -> pl.Series:
    """Return microseconds since 1970 as times."""
    return pl.Series(micros, dtype=pl.Int64).cast(TIME)


def moment(minute: int) -> datetime:
    """Return a minute since 1970 as a time."""
    return datetime.fromtimestamp(minute * 60, tz=UTC)
