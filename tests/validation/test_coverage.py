from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from plimsoll.analytics.cells import Trial, trial
from plimsoll.analytics.fitting import Fitted, fitted
from plimsoll.analytics.inventory import Parameters
from plimsoll.validation.coverage import (
    Midnights,
    band_coverage,
    columns,
    midnights,
    mix_coverage,
    opened_mix,
)

START = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIQUIDATIONS = {
    "time": pl.Datetime("us", "UTC"),
    "side": pl.String,
    "price": pl.Float64,
    "amount": pl.Float64,
    "value_usd": pl.Float64,
    "price_kind": pl.String,
    "completeness": pl.String,
}


def walk(days: int = 6) -> Trial:
    """Return hours of a market whose price wanders and whose open interest grows."""
    random = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.004, 24 * days)))
    open_ = np.append(100.0, close[:-1])
    bars = pl.DataFrame(
        {
            "time": [START + HOUR * at for at in range(24 * days)],
            "open": open_,
            "high": np.maximum(open_, close) * 1.001,
            "low": np.minimum(open_, close) / 1.001,
            "close": close,
            "volume": 500.0,
            "taker_buy": 250.0,
            "open_interest": 10_000.0 + 50 * np.arange(24 * days),
        }
    ).with_columns(open_interest_usd=pl.col("open_interest") * pl.col("close"))
    return trial(bars, pl.DataFrame(schema=LIQUIDATIONS), Parameters(), unit=2_000.0)


def test_positions_stand_in_the_bucket_of_their_liquidation_price() -> None:
    tried = walk()
    midnight = START + timedelta(1)
    held = pl.DataFrame(
        {
            "time": [midnight] * 4 + [START + timedelta(6)],  # the last ends the last bar
            "side": [1, 1, -1, -1, 1],
            "lots": [4, 6, 10, 3, 99],
            "lot": 0.5,
            "liquidation_price": [90.0, 90.0, 110.0, None, 90.0],
            "mark_price": 100.0,
        }
    )
    found = midnights(tried, held)
    assert found.bar.tolist() == [24]
    assert found.mark.tolist() == [100.0]
    bucket = {price: int(np.floor(np.log(price) / 0.001)) - tried.grid.first for price in (90, 110)}
    assert found.real[0, 0, bucket[90]] == 5
    assert found.real[0, 1, bucket[110]] == 5
    assert found.real.sum() == 10
    assert len(found.since(25).bar) == 0


def test_the_opened_mix_is_of_young_positions_and_of_those_already_gone() -> None:
    midnight = START + timedelta(1)
    stand = pl.DataFrame(
        {
            "time": [midnight] * 3,
            "opened": [midnight - HOUR, midnight - 7 * HOUR, midnight - 6 * HOUR],
            "leverage": [2.0, 3.0, 10.0],
            "lots": [10, 1_000, 20],
        }
    )
    gone = pl.DataFrame(
        {
            "time": [midnight - HOUR, midnight + HOUR, midnight - HOUR],
            "opened": [midnight - 2 * HOUR, midnight - HOUR, midnight - 9 * HOUR],
            "leverage": [50.0, 50.0, 50.0],
            "lots": [70, 1_000, 1_000],
        }
    )
    assert opened_mix(stand, gone) == {2.0: 0.1, 10.0: 0.2, 50.0: 0.7}


def test_a_share_is_inside_its_interval_or_not() -> None:
    mix = pl.DataFrame(
        {
            "leverage": [2.0, 5.0, 50.0],
            "share": [0.5, 0.4, 0.1],
            "low": [0.3, 0.3, 0.0],
            "high": [0.6, 0.5, 0.2],
            "identified": [True, False, False],
        }
    )
    found = mix_coverage(mix, {2: 0.3, 5: 0.7})
    assert found["real"].to_list() == [0.3, 0.7]
    assert found["inside"].to_list() == [True, False]


def made(tried: Trial, size: float) -> Fitted:
    """Return the priors as if they were fitted, their mix known for sure."""
    prior = fitted(tried)
    sure = np.tile(prior.parameters.weights, (50, 1))
    return replace(
        prior, shares=sure, scales=np.ones(50), complete=True, cell_size=size, common_size=size
    )


@pytest.mark.parametrize("size", [0.8, 5.0])
def test_a_truth_that_is_as_the_map_says_lies_in_eight_of_ten_bands(size: float) -> None:
    tried = walk()
    known = made(tried, size)
    bar = np.arange(48, 144, 24)
    order = known.unit / tried.bars[bar, 0]
    mean = columns(tried, known.parts, bar) / order[:, None, None]
    random = np.random.default_rng(5)
    lumpy = random.poisson(random.gamma(size, mean / size)) * order[:, None, None]
    truth = Midnights(bar=bar, mark=tried.bars[bar, 0], real=lumpy)
    found = band_coverage(tried, known, truth)
    sums = found.group_by("scope").agg(pl.col("cells", "inside", "below", "above", "claimed").sum())
    for scope, cells, inside, below, above, claimed in sums.iter_rows():
        assert inside + below + above == cells
        assert claimed <= cells
        if scope == "range":
            assert 0.76 < inside / cells < 0.97
    wide = found.filter(scope="range")
    assert wide["real"].sum() == pytest.approx(wide["mass"].sum(), rel=0.2)  # 3 deviations


def test_a_market_ten_times_as_large_as_the_map_lies_above_its_bands() -> None:
    tried = walk()
    known = made(tried, 50.0)
    bar = np.array([120])
    truth = Midnights(
        bar=bar,
        mark=tried.bars[bar, 0],
        real=10 * columns(tried, known.parts, bar),
    )
    found = band_coverage(tried, known, truth).filter(pl.col("claimed") > 0)
    assert found["above"].sum() > 0.8 * found["claimed"].sum()
    assert found["below"].sum() == 0
