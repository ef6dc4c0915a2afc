"""Detectors of wrong series: published medians, planted lags, and no false alarm by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.detectors import (
    common_step,
    lag,
    leave_one_out,
    nearest_unit,
    unchanged,
    weighted_median,
    weights,
)
from truths.interest import WEIGHTED_MEDIANS

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "weight", "median"),
    [*WEIGHTED_MEDIANS, ([3, NAN, 1], [1, 9, NAN], 3)],
)
def test_the_weighted_median_of_worked_examples(values, weight, median):
    assert weighted_median(values, weight) == pytest.approx(median)


def test_a_median_of_nothing_is_unknown():
    assert np.isnan(weighted_median([NAN, NAN], [1, 1]))
    assert np.isnan(weighted_median([1.0], [0.0]))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=15))
def test_with_equal_weights_it_is_the_median(values):
    assert weighted_median(values, np.ones(len(values))) == pytest.approx(np.median(values))


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=9), st.data())
def test_a_weight_of_two_is_a_value_twice(values, data):
    times = data.draw(st.lists(st.integers(1, 4), min_size=len(values), max_size=len(values)))
    assert weighted_median(values, times) == pytest.approx(np.median(np.repeat(values, times)))


@given(st.lists(st.floats(1e-3, 1e12), min_size=3, max_size=3))
def test_of_three_markets_no_one_outvotes_the_others(sizes):
    counted = weights(sizes)
    assert counted.max() < counted.sum() - counted.max()


def test_the_others_say_what_they_say_without_one():
    others = leave_one_out([[1.0, 2.0, 9.0], [NAN, 2.0, NAN]], np.ones((2, 3)))
    assert others[0].tolist() == [5.5, 5.0, 1.5]
    assert np.isnan(others[1, 1])
    assert others[1, [0, 2]].tolist() == [2, 2]
    assert np.isnan(leave_one_out([[1.0]], [[1.0]])).all()


@given(st.integers(0, 10_000), st.integers(2, 7))
def test_the_others_are_all_but_one(seed, count):
    draw = np.random.default_rng(seed)
    values = draw.integers(0, 5, size=(20, count)).astype(float)
    mass = draw.integers(1, 4, size=(20, count)).astype(float)
    values[draw.random(values.shape) < 0.2] = NAN
    mass[draw.random(values.shape) < 0.1] = NAN
    others = leave_one_out(values, mass)
    for market in range(count):
        rest = np.delete(values, market, axis=1), np.delete(mass, market, axis=1)
        assert np.allclose(others[:, market], weighted_median(*rest), equal_nan=True)


def test_a_series_is_stale_only_while_others_move_and_it_trades():
    values = [
        [1.0, 1.0, 1.0],
        [1.0, 2.0, 3.0],  # counts
        [1.0, 2.0, 3.0],  # a quiet instant: nobody moves
        [NAN, 3.0, 4.0],  # unknown
        [1.0, 4.0, 5.0],  # no step is known
        [1.0, 5.0, 6.0],  # counts
        [1.0, 6.0, 7.0],  # did not trade
        [2.0, 7.0, 8.0],  # moves
    ]
    volume = np.full((8, 3), NAN)
    volume[6, 0] = 0.0
    assert unchanged(values, volume)[:, 0].tolist() == [0, 1, 1, 1, 1, 2, 2, 0]
    assert unchanged(values, volume)[:, 1:].max() == 0


def test_alone_nothing_is_stale():
    assert unchanged(np.ones((9, 1)), np.full((9, 1), NAN)).max() == 0


def test_a_ratio_is_named_by_the_unit_it_is_near_to():
    units = {"2 (both sides)": 2.0, "the price": 65_000.0, "the size of a contract": 0.01}
    assert nearest_unit(1.99, units) == ("2 (both sides)", 2.0)
    assert nearest_unit(100.5, units) == ("1/the size of a contract", 100.0)
    assert nearest_unit(1 / 64_500, units) == ("1/the price", 1 / 65_000)
    assert nearest_unit(1.3, units) is None
    assert nearest_unit(NAN, units) is None
    assert nearest_unit(-2.0, units) is None


@given(st.lists(st.integers(1, 10**6), min_size=40, max_size=80, unique=True))
def test_counts_for_both_sides_are_all_even(counts):
    step = common_step(counts)
    assert common_step([2 * count for count in counts]) == 2 * step
    assert step == np.gcd.reduce(counts)


def test_few_counts_and_fractions_of_contracts_say_nothing():
    assert common_step([2, 4, 6]) is None
    assert common_step([number + 0.5 for number in range(50)]) is None
    assert common_step([NAN] * 50) is None


def test_a_planted_lag_is_found_to_the_step():
    draw = np.random.default_rng(4)
    leader = np.abs(draw.normal(size=1_000))
    for steps in (1, 5, 12):
        late = np.concatenate([np.full(steps, NAN), leader[:-steps]]) + draw.normal(size=1_000) / 2
        found, correlation, gain = lag(late, leader, 36)
        assert found == steps
        assert correlation > 0.5
        assert gain > 6


def test_what_does_not_lag_is_never_accused():
    """A thousand pairs that agree in time, or have nothing to do with each other."""
    for seed in range(500):
        draw = np.random.default_rng(seed)
        one, other = draw.normal(size=(2, 500))
        assert lag(one, other, 36)[0] == 0
        assert lag(one + other, one, 36)[0] == 0


def test_too_little_has_no_lag():
    assert lag([1.0, 2.0], [1.0, 2.0], 1)[0] == 0
    assert np.isnan(lag(np.full(100, NAN), np.ones(100), 3)[1])
    assert np.isnan(lag(np.ones(100), np.arange(100.0), 3)[1])
