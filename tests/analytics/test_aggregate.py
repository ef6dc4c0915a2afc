"""Several maps as one, against sums by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from plimsoll.analytics.aggregate import together
from plimsoll.analytics.heatmap import HeatMap, Parameters

HOUR = timedelta(hours=1)
START = np.datetime64("2026-01-01T00:00", "us")
EDGES = np.array([90.0, 100.0, 110.0])
NAN = float("nan")


def chart(exchange, hours, long, short, held, coverage, **changed):
    """A map of the hours named, two rows high."""
    n = len(hours)
    time = START + np.array(hours) * np.timedelta64(HOUR)
    prices = np.full(n, 100.0)
    made = HeatMap(
        time=time,
        interval=HOUR,
        edges=EDGES,
        long_usd=np.array([[usd, 0 * usd] for usd in long]),
        short_usd=np.array([[0 * usd, usd] for usd in short]),
        open=prices,
        high=prices + 1,
        low=prices - 1,
        close=prices,
        volume_usd=np.full(n, 7.0),
        open_interest_usd=np.array(held),
        coverage=np.array(coverage),
        crossed=pl.DataFrame(
            {"time": pl.Series(time).dt.replace_time_zone("UTC"), "long_usd": [1.0] * n}
        ).with_columns(short_usd=pl.lit(None, pl.Float64)),
        inconsistent=1,
        parameters=Parameters(),
        exchange=exchange,
        symbol="BTC/USDT:USDT",
        prices="candles",
    )
    return replace(made, **changed)


def hours(n):
    return START + np.arange(n) * np.timedelta64(HOUR)


def total(maps, reference=(100.0, 100.0, 100.0)):
    return together(maps, hours(3), np.array(reference))


A = chart("a", [0, 1, 2], [1.0, 2.0, NAN], [3.0, 4.0, NAN], [100.0, 100.0, NAN], [0.5, 0.8, NAN])
B = chart("b", [1, 2], [10.0, 20.0], [30.0, 40.0], [300.0, 300.0], [1.0, 1.0])


def test_dollars_of_known_markets_are_added_and_each_column_says_whose_they_are():
    found = total([A, B])
    assert found.long_usd[:, 0].tolist() == [1.0, 12.0, 20.0]
    assert found.short_usd[:, 1].tolist() == [3.0, 34.0, 40.0]
    assert found.open_interest_usd.tolist() == [100.0, 400.0, 300.0]
    # Half of each open interest is liquidatable: 50 of 100; 80 + 300 of 400; and in the last
    # column, where the first market is silent, 300 of the 400 that were last known.
    assert found.coverage.tolist() == pytest.approx([0.5, 0.95, 0.75])
    told = found.markets.filter(pl.col("coverage").is_not_null())
    assert told["exchange"].to_list() == ["a", "a", "b", "b"]
    assert found.markets.height == 6
    assert (found.exchange, found.inconsistent) == ("a, b", 2)
    assert found.describe()["markets"][0] == {
        "exchange": "a",
        "symbol": "BTC/USDT:USDT",
        "coverage": None,
        "open_interest_usd": None,
    }


def test_a_column_nobody_knows_is_unknown():
    found = total([A, replace(B, coverage=np.array([1.0, NAN]))])
    assert found.known.tolist() == [True, True, False]
    assert np.isnan(found.long_usd[2]).all()
    assert np.isnan(found.open_interest_usd[2])


def test_prices_are_those_of_the_largest_and_where_it_has_none_of_the_largest_there_is():
    found = total([replace(A, open=np.array([95.0, 96.0, NAN])), B])
    assert found.open.tolist() == [95.0, 100.0, 100.0]
    assert found.volume_usd.tolist() == [7.0, 14.0, 14.0]


def test_crossed_is_added_and_null_where_nobody_knows():
    rows = total([A, B]).crossed
    assert rows["long_usd"].to_list() == [1.0, 2.0, 2.0]
    assert rows["short_usd"].to_list() == [None, None, None]


def test_a_future_that_has_expired_is_not_missed():
    future = replace(A, symbol="BTC/USDT:USDT-260101")
    assert total([future, B]).coverage.tolist()[2] == pytest.approx(1.0)


def test_a_future_is_moved_by_its_premium():
    # Rows half as high again as the last; the future trades one row above the reference.
    edges = 100 * 1.5 ** np.arange(4.0)
    usd = np.array([[1.0, 2.0, 4.0]] * 2)
    future = replace(B, edges=edges, long_usd=usd, short_usd=usd, open=np.array([150.0, NAN]))
    for symbol, expected in (
        ("BTC/USDT:USDT-260327", [2.0, 4.0, 0.0]),
        ("BTC/USDT:USDT", [1.0, 2.0, 4.0]),
    ):
        found = total([replace(future, symbol=symbol)])
        assert found.long_usd[1:].tolist() == [expected] * 2
    below = total([replace(future, symbol="BTC/USDT:USDT-260327", open=np.array([50.0, 60.0]))])
    assert below.short_usd[1:].tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 2.0]]


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="same rows"):
        total([A, replace(B, edges=EDGES * 2)])
    with pytest.raises(ValueError, match="same rows"):
        total([A, replace(B, interval=2 * HOUR)])
    with pytest.raises(ValueError, match="no heat map"):
        total([])
