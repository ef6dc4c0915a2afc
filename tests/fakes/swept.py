"""A made-up market of hours, and liquidations drawn from what a given map says was swept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from plimsoll.analytics.cells import trial
from plimsoll.analytics.inventory import Parameters

__all__ = ["BEGIN", "PRIOR", "hours", "liquidations", "market", "swept"]

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
PRIOR = Parameters(
    leverage=(5, 10, 20, 50), weights=(0.25, 0.25, 0.25, 0.25), step=0.002, maintenance=0.005
)
LIQUIDATIONS = pl.Schema(
    {
        "time": pl.Datetime("us", "UTC"),
        "side": pl.String,
        "price": pl.Float64,
        "price_kind": pl.String,
        "amount": pl.Float64,
        "value_usd": pl.Float64,
        "completeness": pl.String,
    }
)


def hours(days: int, seed: int = 0, wild: float = 0.008) -> pl.DataFrame:
    """Bars of an hour whose open interest rises and falls by a few per cent."""
    rng = np.random.default_rng(seed)
    n = 24 * days
    close = 100 * np.exp(np.cumsum(np.clip(rng.standard_t(4, n) * wild, -0.08, 0.08)))
    opens = np.append(100, close[:-1])
    interest = 1_000 * np.exp(0.3 * np.sin(np.arange(n) / 37) + rng.normal(0, 0.02, n))
    volume = rng.gamma(4, 100, n) + np.abs(np.diff(interest, prepend=interest[0]))
    return pl.DataFrame(
        {
            "time": [BEGIN + hour * timedelta(hours=1) for hour in range(n)],
            "open": opens,
            "high": np.maximum(opens, close) * np.exp(rng.exponential(wild / 2, n)),
            "low": np.minimum(opens, close) * np.exp(-rng.exponential(wild / 2, n)),
            "close": close,
            "volume": volume,
            "taker_buy": volume * rng.uniform(0.3, 0.7, n),
            "open_interest": interest,
            "open_interest_usd": interest * close,
        },
        schema_overrides={"time": pl.Datetime("us", "UTC")},
    )


def liquidations(cells, price, orders, bars, unit, completeness="complete") -> pl.DataFrame:
    """A liquidation in the middle of each cell, of so many orders."""
    at = np.flatnonzero(orders)
    usd = orders[at] * float(unit)
    return pl.DataFrame(
        {
            "time": bars["time"].gather(cells[at, 0]),
            "side": [("long", "short")[side] for side in cells[at, 1]],
            "price": price[at],
            "price_kind": ["fill"] * len(at),
            "amount": usd / price[at],
            "value_usd": usd,
            "completeness": [completeness] * len(at),
        },
        schema=LIQUIDATIONS,
    )


def swept(
    bars: pl.DataFrame,
    truth: Parameters,
    *,
    capture: float = 1.0,
    size: float = 2.0,
    unit: float = 20.0,
    seed: int = 0,
    completeness: str = "complete",
) -> pl.DataFrame:
    """Liquidations of what stood in the touched cells of a map, negative binomial around it."""
    true = trial(bars, LIQUIDATIONS.to_frame(), truth, unit=unit)
    rng = np.random.default_rng(seed)
    mean = capture * true.stood().sum(axis=1)
    orders = rng.poisson(mean * rng.gamma(size, 1 / size, len(mean)))
    return liquidations(true.cells, true.price, orders, bars, unit, completeness)


def market(days: int, weights: tuple[float, ...] | None = None, seed: int = 0, **drawn):
    """A trial of the prior on a market whose map has other weights."""
    bars = hours(days, seed)
    truth = (
        PRIOR
        if weights is None
        else Parameters(
            leverage=PRIOR.leverage, weights=weights, step=PRIOR.step, maintenance=PRIOR.maintenance
        )
    )
    return trial(bars, swept(bars, truth, seed=seed, **drawn), PRIOR, unit=drawn.get("unit", 20.0))
