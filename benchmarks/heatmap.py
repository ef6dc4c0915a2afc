"""A year of minutes as a heat map: the compiled engine against the same model in plain numpy."""

from __future__ import annotations

import json
import os
import resource
import sys
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import polars as pl

from benchmarks.measure import apart, clocked, report, spread, versus
from plimsoll.analytics.fitting import Fitted
from plimsoll.analytics.heatmap import liquidation_map
from plimsoll.analytics.inventory import Grid, Inventory, Parameters
from plimsoll.analytics.inventory_numpy import replay
from plimsoll.analytics.inventory_state import matrix
from plimsoll.analytics.leverage import Fit

__all__ = ["run", "year_of_minutes"]

MINUTES = 365 * 24 * 60
COLUMNS = 1_440
ROWS = 400
TWIN = 4_000
"""Bars the plain engine is timed on: its time for one does not depend on how many there are."""
TEN = Parameters(
    leverage=(2, 3, 5, 10, 15, 20, 25, 50, 75, 100),
    weights=(0.10, 0.15, 0.20, 0.20, 0.05, 0.10, 0.08, 0.06, 0.03, 0.03),
)
HALF = 0.549_5
"""Half the height of the month's map, log price: 1,100 rows of 0.1 %."""
LIVE = 1_000
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
    """Time a year of minutes, a month of five minutes, and one live bar."""
    return {
        "year": _year(),
        "month": _month(),
        "live": _live(),
    }


def _year() -> dict[str, object]:
    """Time both engines; what compiling costs stands apart."""
    with TemporaryDirectory() as cache, patch.dict(os.environ, NUMBA_CACHE_DIR=cache):
        compiling, cached = (apart(__name__, "first")["seconds"] for _ in range(2))
    bars, parameters = year_of_minutes(), TEN
    every = MINUTES // COLUMNS
    # Compiled and loaded from here on.
    found = liquidation_map(bars, parameters, every=every, rows=ROWS)
    grid = Grid.covering(found.edges[0], found.edges[-1], parameters.step)
    few = matrix(bars[-TWIN:])
    ours, theirs = [], []
    for _ in range(REPEATS):
        seconds, _ = clocked(lambda: liquidation_map(bars, parameters, every=every, rows=ROWS))
        ours.append(seconds)
        plain, _ = clocked(replay, few, parameters, timedelta(minutes=1), grid)
        theirs.append(plain / TWIN * MINUTES)
    return {
        "compared": f"{MINUTES:,} bars of one minute, {len(parameters.leverage)} tiers, both "
        f"sides, {len(parameters.closing)} age classes, {COLUMNS:,} columns of at most {ROWS} "
        f"rows, compiling not counted, against the same model in plain numpy, timed on {TWIN:,} "
        "bars and scaled up",
        "aim": "below 1.5 s and 500 MiB; numpy at least 50 times as long",
        "seconds": spread(ours),
        "numpy_seconds": spread(theirs, digits=1),
        "numpy_over_numba": versus(theirs, ours),
        "first_call_seconds": {"compiling": round(compiling, 2), "cached": round(cached, 2)},
        "peak_mib": apart(__name__, "year")["mib"],
    }


def _month() -> dict[str, object]:
    """Time a month as other programs draw it: every bar a column, 1,100 rows, and as a fit does."""
    bars = _five_minutes(year_of_minutes(30 * 24 * 60))
    middle = float(bars["close"].to_numpy().mean())
    low, high = middle * np.exp(-HALF), middle * np.exp(HALF)
    fit = _fit()
    plain, fits, naive = [], [], []
    drawn = liquidation_map(bars, low=low, high=high)
    liquidation_map(bars[:100], low=low, high=high, fit=fit)
    for _ in range(REPEATS):
        plain.append(clocked(lambda: liquidation_map(bars, low=low, high=high))[0])
        fits.append(clocked(lambda: liquidation_map(bars, low=low, high=high, fit=fit))[0])
        naive.append(clocked(_naive, matrix(bars), low, high)[0])
    return {
        "compared": f"{len(bars):,} bars of five minutes, every one a column of "
        f"{len(drawn.edges) - 1:,} rows and two sides, against a naive map (rises of open interest "
        "on four leverages, emptied where the price goes) as a loop of numpy over bars",
        "aim": "below 0.15 s; with limits from 200 posterior draws below 10 s",
        "seconds": spread(plain),
        "with_limits_seconds": spread(fits),
        "naive_numpy_seconds": spread(naive),
        "naive_over_ours": versus(naive, plain),
        "peak_mib_with_limits": apart(__name__, "month")["mib"],
    }


def _live() -> dict[str, object]:
    """Time one more bar, and the column after it."""
    bars = _five_minutes(year_of_minutes(30 * 24 * 60))
    rows, middle = matrix(bars), float(bars["close"].to_numpy().mean())
    grid = Grid.covering(middle / 3, middle * 3, Parameters().step)
    inventory = Inventory(Parameters(), interval=timedelta(minutes=5), grid=grid)
    inventory.advance(rows[:-LIVE], shown=np.zeros(len(rows) - LIVE, dtype=np.bool_))
    unshown = np.zeros(1, dtype=np.bool_)
    times = [
        clocked(lambda at=at: inventory.advance(rows[at : at + 1], shown=unshown))[0]
        for at in range(len(rows) - LIVE, len(rows))
    ]
    return {
        "compared": f"one bar of five minutes after {len(rows) - LIVE:,}, a call for each of "
        f"{LIVE:,}",
        "aim": "at most 50 µs",
        "microseconds": round(float(np.median(times)) * 1e6, 1),
        "microseconds_p99": round(float(np.quantile(times, 0.99)) * 1e6, 1),
    }


def _five_minutes(bars: pl.DataFrame) -> pl.DataFrame:
    first, last = pl.first, pl.last
    return bars.group_by_dynamic("time", every="5m").agg(
        first("open"),
        pl.max("high"),
        pl.min("low"),
        last("close"),
        pl.sum("volume", "taker_buy"),
        last("open_interest", "open_interest_usd"),
    )


def _fit() -> Fitted:
    """Return a fit as one looks, without one: draws around the prior."""
    prior = Parameters()
    shares = np.random.default_rng(1).dirichlet(20 * np.asarray(prior.weights), size=200)
    mode = Fit(
        multiplier=np.ones(len(prior.weights) + 1),
        draws=np.ones((1, len(prior.weights) + 1)),
        size=1.0,
        rows=1,
        orders=1,
        inflation=1.0,
        prior=np.ones(len(prior.weights) + 1),
    )
    return Fitted(
        parameters=prior,
        parts=((1.0, prior),),
        prior=prior,
        fit=mode,
        shares=shares,
        scales=np.ones(200),
        tried=pl.DataFrame(),
        cell_size=0.5,
        common_size=2.0,
        days=30,
        complete=True,
        orders=1,
        unit=100_000.0,
        outside=0.0,
    )


def _naive(bars: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return a plain map of four leverages, every column kept."""
    edges = np.linspace(np.log(low), np.log(high), 1_101)
    mass = np.zeros((2, 1_100))
    columns = np.empty((len(bars), 2, 1_100), dtype=np.float32)
    before = bars[0, 6]
    for at, (_, top, bottom, close, _, _, now) in enumerate(bars):
        columns[at] = mass
        mass[0, np.searchsorted(edges, np.log(bottom)) - 1 :] = 0.0
        mass[1, : np.searchsorted(edges, np.log(top))] = 0.0
        for leverage in (10, 25, 50, 100):
            for side, sign in ((0, -1), (1, 1)):
                place = np.searchsorted(edges, np.log(close * (1 + sign / leverage))) - 1
                mass[side, np.clip(place, 0, 1_099)] += max(0.0, now - before) / 4
        before = now
    return columns


def _memory(span: str) -> dict[str, float]:
    """Draw the year, or the fitted month, in a process of its own."""
    if span == "year":
        liquidation_map(year_of_minutes(), TEN, every=MINUTES // COLUMNS, rows=ROWS)
    else:
        bars = _five_minutes(year_of_minutes(30 * 24 * 60))
        middle = float(bars["close"].to_numpy().mean())
        liquidation_map(bars, low=middle * np.exp(-HALF), high=middle * np.exp(HALF), fit=_fit())
    return {"mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}


if __name__ == "__main__":
    if sys.argv[1] == "first":
        report(clocked(liquidation_map, year_of_minutes(10))[0])
    else:
        print(json.dumps(_memory(sys.argv[1])))
