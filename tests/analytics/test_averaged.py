"""A fitted map is the mean of inventories."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from msgspec.structs import replace

from plimsoll.analytics.averaged import Averaged
from plimsoll.analytics.inventory import Grid, Inventory, Parameters

HOUR = timedelta(hours=1)
GRID = Grid.covering(40, 250, 0.001)


def walk(n=200):
    random = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.004, n)))
    open_ = np.append(100.0, close[:-1])
    high, low = np.maximum(open_, close) * 1.001, np.minimum(open_, close) * 0.999
    volume = random.exponential(50, n)
    interest = 1_000 + np.cumsum(random.normal(0, 3, n))
    return np.stack([open_, high, low, close, volume, volume / 3, interest], axis=1)


def test_the_mean_of_one_is_that_one_to_the_bit():
    bars, shown = walk(), np.ones(200, dtype=np.bool_)
    alone = Inventory(Parameters(), interval=HOUR, grid=GRID).advance(bars, shown=shown)
    mean = Averaged([(1.0, Parameters())], bars, None, interval=HOUR, grid=GRID).advance(shown)
    assert np.array_equal(mean.columns, alone.columns, equal_nan=True)


def test_the_mean_of_two_is_theirs_in_any_split_of_the_bars():
    bars, shown = walk(), np.ones(200, dtype=np.bool_)
    sets = [Parameters(), replace(Parameters(), churn=0.9, liquidatable=0.3)]
    parts = [(0.25, sets[0]), (0.75, sets[1])]
    records = [Inventory(one, interval=HOUR, grid=GRID).advance(bars) for one in sets]
    whole = Averaged(parts, bars, None, interval=HOUR, grid=GRID)
    found = whole.advance(shown)
    wanted = 0.25 * records[0].columns + 0.75 * records[1].columns
    np.testing.assert_allclose(found.columns, wanted, rtol=1e-12, atol=1e-12)
    cut = Averaged(parts, bars, None, interval=HOUR, grid=GRID)
    pieces = [cut.advance(shown[:70]), cut.advance(shown[70:])]
    again = np.concatenate([piece.columns for piece in pieces])
    assert np.array_equal(found.columns, again, equal_nan=True)
    most = 2 * (0.25 * 0.5 + 0.75 * 0.3) * bars[-1, 6]
    assert 0 < whole.standing(bars[-1, 3]).sum() <= most * (1 + 1e-9)
    assert 0 < whole.coverage <= 1
