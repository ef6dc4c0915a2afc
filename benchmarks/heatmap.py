"""A year of minutes as a heat map: the compiled engine against the same model in plain numpy."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import polars as pl

from benchmarks.measure import apart, clocked, report, spread, versus
from plimsoll.analytics.heatmap import liquidation_map
from plimsoll.analytics.inventory import Grid, Parameters, matrix
from plimsoll.analytics.inventory_numpy import replay

__all__ = ["run", "year_of_minutes"]

MINUTES = 365 * 24 * 60
COLUMNS = 1_440
ROWS = 400
TWIN = 4_000
"""Bars the plain engine is timed on: its time for one does not depend on how many there are."""
REPEATS = 3


def year_of_minutes(bars: int = MINUTES) -> pl.DataFrame:
    """Return bars of a random market with bitcoin's volatility and turnover.

    Parameters
    ----------
    bars : int

    Returns
    -------
    DataFrame
        As `heatmap.bars` makes them.
    """
    random = np.random.default_rng(20_260_101)
    sigma = 0.5 / np.sqrt(MINUTES)  # 50 % a year
    close = 90_000 * np.exp(np.cumsum(random.normal(0, sigma, bars)))
    open_ = np.append(90_000.0, close[:-1])
    volume = random.lognormal(np.log(100), 1, bars)
    interest = 90_000 * np.exp(0.2 * np.sin(np.arange(bars) / 40_000))
    interest += np.cumsum(random.normal(0, 5, bars))
    frame = pl.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(random.exponential(sigma, bars)),
            "low": np.minimum(open_, close) * np.exp(-random.exponential(sigma, bars)),
            "close": close,
            "volume": volume,
            "taker_buy": volume * random.uniform(size=bars),
            "open_interest": interest,
            "open_interest_usd": interest * close,
        }
    )
    start = datetime(2025, 1, 1, tzinfo=UTC)
    minutes = pl.int_range(bars).cast(pl.Int64) * 60_000_000
    return frame.with_columns(
        time=pl.lit(start).cast(pl.Datetime("us", "UTC")) + minutes.cast(pl.Duration("us"))
    )


def run() -> dict[str, object]:
    """Time both engines; what compiling costs stands apart."""
    with TemporaryDirectory() as cache, patch.dict(os.environ, NUMBA_CACHE_DIR=cache):
        compiling, cached = (apart(__name__, "first")["seconds"] for _ in range(2))
    bars, parameters = year_of_minutes(), Parameters()
    every = MINUTES // COLUMNS
    found = liquidation_map(bars, every=every, rows=ROWS)  # compiled and loaded from here on
    grid = Grid.covering(found.edges[0], found.edges[-1], parameters.step)
    few = matrix(bars[-TWIN:])
    ours, theirs = [], []
    for _ in range(REPEATS):
        seconds, _ = clocked(lambda: liquidation_map(bars, every=every, rows=ROWS))
        ours.append(seconds)
        plain, _ = clocked(replay, few, parameters, timedelta(minutes=1), grid)
        theirs.append(plain / TWIN * MINUTES)
    return {
        "compared": f"{MINUTES:,} bars of one minute, {len(parameters.leverage)} tiers, both "
        f"sides, {COLUMNS:,} columns of at most {ROWS} rows, compiling not counted, against the "
        f"same model in plain numpy, timed on {TWIN:,} bars and scaled up",
        "aim": "below 2 s; numpy at least 50 times as long",
        "seconds": spread(ours),
        "numpy_seconds": spread(theirs, digits=1),
        "numpy_over_numba": versus(theirs, ours),
        "first_call_seconds": {"compiling": round(compiling, 2), "cached": round(cached, 2)},
    }


if __name__ == "__main__":
    report(clocked(liquidation_map, year_of_minutes(10))[0])
