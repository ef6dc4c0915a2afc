"""At which prices what stands open was entered: an estimate, from the inventory behind the map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plimsoll.analytics.provenance import Standing

    Floats = NDArray[np.float64]

__all__ = ["entries"]

_SIDES = ("long", "short")
_LEAST = 0.0001


def entries(standing: Sequence[Standing], width: float = 0.01) -> pl.DataFrame:
    """Return open interest by the price at which it was entered, an estimate.

    The map keeps what stands by side, leverage and liquidation price. At one leverage the
    liquidation price is the entry price times a constant, which undone gives the entry.

    Parameters
    ----------
    standing : sequence of Standing
        One for each market; not empty.
    width : float, log price
        Of a bucket; buckets start at whole multiples.

    Returns
    -------
    DataFrame
        A row for each market and bucket that holds something, by exchange, symbol and price:
        `exchange`, `symbol`, `time`, `price_low`, `price_high` (quote per base), `long_usd`,
        `short_usd` (US dollars at the price of now), `profit_long` (fraction of the entry price,
        at the bucket's middle; a short's is its opposite) and `coverage`: the share of what can be
        liquidated, on that market, whose entry is known.

    Raises
    ------
    ValueError
        If the width is none that a price can be read in: below 0.0001, or above 1.
    """
    if not _LEAST <= width <= 1:
        raise ValueError(f"a bucket needs a positive width, from {_LEAST} to 1; got {width}")
    return pl.concat(_of(one, width) for one in standing).sort("exchange", "symbol", "price_low")


def _of(one: Standing, width: float) -> pl.DataFrame:
    edges = np.log(one.edges)
    factors = [np.log(side) for side in one.factors()]
    low = min(edges[0] - float(side.max()) for side in factors)
    high = max(edges[-1] - float(side.min()) for side in factors)
    first, last = math.floor(low / width), math.ceil(high / width)
    buckets = np.arange(first, last + 1) * width
    sums = np.zeros((2, len(buckets) - 1))
    for side, found in enumerate(factors):
        held = one.usd[side].sum(axis=1)
        for tier, factor in enumerate(found):
            sums[side] += _rebinned(held[tier], edges - factor, buckets)
    middle = np.exp((buckets[:-1] + buckets[1:]) / 2)
    frame = pl.DataFrame(
        {
            "price_low": np.exp(buckets[:-1]),
            "price_high": np.exp(buckets[1:]),
            "long_usd": sums[0],
            "short_usd": sums[1],
            "profit_long": one.price / middle - 1,
        }
    )
    named = {
        "exchange": pl.lit(one.exchange, pl.String),
        "symbol": pl.lit(one.symbol, pl.String),
        "time": pl.lit(one.time, pl.Datetime("us", "UTC")),
        "coverage": pl.lit(one.coverage, pl.Float64),
    }
    return (
        frame.filter((pl.col("long_usd") + pl.col("short_usd")) > _DUST * max(1.0, sums.sum()))
        .with_columns(**named)
        .select(*_COLUMNS)
    )


def _rebinned(mass: Floats, edges: Floats, buckets: Floats) -> Floats:
    """Return mass that is spread evenly between edges, by other buckets that cover them."""
    below: Floats = np.interp(buckets, edges, np.concatenate([[0.0], np.cumsum(mass)]))
    return np.diff(below)


_DUST = 1e-12
_COLUMNS: tuple[Any, ...] = (
    "exchange",
    "symbol",
    "time",
    "price_low",
    "price_high",
    "long_usd",
    "short_usd",
    "profit_long",
    "coverage",
)
