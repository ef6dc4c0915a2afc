from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from plimsoll.validation.significance import (
    diebold_mariano,
    mean_with_interval,
    optimal_block_length,
    skill_interval,
    stationary_bootstrap,
    wilson,
)


def autoregression(length, phi, rng):
    return signal.lfilter([1], [1, -phi], rng.standard_normal(length + 100))[100:]


@given(st.integers(1, 1000), st.floats(0, 1))
def test_wilsons_limits_are_scipys(n, share):
    k = round(share * n)
    found = wilson(k, n, stats.norm.ppf(0.975))
    wanted = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_wilsons_limits_of_a_quarter_of_a_hundred():
    assert wilson(25, 100).low == pytest.approx(0.1755, abs=5e-5)
    assert np.isnan(wilson(0, 0)).all()


def test_the_optimal_block_of_an_autoregression_is_that_of_arch():
    # arch's own test: these draws, and 13.635665 for the stationary bootstrap
    draw = np.random.RandomState(0)
    x = signal.lfilter([1], [1, -0.3], draw.standard_normal(10_100))
    assert optimal_block_length(x[100:]) == pytest.approx(13.635665, rel=1e-7)


def test_the_optimal_block_does_not_depend_on_units_and_grows_with_memory():
    rng = np.random.default_rng(1)
    blocks = [optimal_block_length(autoregression(2000, phi, rng)) for phi in (0.0, 0.5, 0.9)]
    assert blocks == sorted(blocks)
    x = autoregression(300, 0.5, rng)
    assert optimal_block_length(7 - 3 * x) == pytest.approx(optimal_block_length(x))


def test_the_optimal_block_of_few_or_equal_values():
    assert math.isnan(optimal_block_length(np.ones(50)))
    assert math.isnan(optimal_block_length(np.array([1.0])))
    assert optimal_block_length(np.array([1.0, 2.0])) <= 1


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=80))
def test_the_optimal_block_has_an_upper_limit(x):
    found = optimal_block_length(np.array(x))
    longest = math.ceil(min(3 * math.sqrt(len(x)), len(x) / 3))
    assert 0 <= found <= longest or len(set(x)) == 1


def test_blocks_begin_anywhere_and_are_geometric_in_length():
    drawn = stationary_bootstrap(50, 5.0, 4000, np.random.default_rng(2))
    assert drawn.shape == (4000, 50)
    assert np.bincount(drawn.ravel()) / 4000 == pytest.approx(np.ones(50), abs=0.1)
    broken = (np.diff(drawn, axis=1) % 50 != 1).mean()
    assert broken == pytest.approx(1 / 5 * 49 / 50, rel=0.02)  # one in fifty goes on by chance


def test_the_variance_of_a_resampled_mean_is_politis_and_romanos():
    # Lemma 1 of 1994, with autocovariances that go round the series:
    # (C₀ + 2 Σ (1 − i / n) (1 − p)^i Cᵢ) / n
    x, p = autoregression(60, 0.6, np.random.default_rng(3)), 1 / 8
    away, lag = x - x.mean(), np.arange(60)
    around = np.array([away @ np.roll(away, -i) for i in lag]) / 60
    weight = (1 - lag / 60) * (1 - p) ** lag
    wanted = (around[0] + 2 * weight[1:] @ around[1:]) / 60
    drawn = x[stationary_bootstrap(60, 8.0, 40_000, np.random.default_rng(4))].mean(axis=1)
    assert drawn.var() == pytest.approx(wanted, rel=0.03)
    assert drawn.mean() == pytest.approx(x.mean(), abs=0.01)


@pytest.mark.parametrize("phi", [0.0, 0.3])
def test_intervals_hold_the_mean_of_an_autoregression_about_as_often_as_they_say(phi):
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        found = mean_with_interval(autoregression(1000, phi, rng), draws=300, rng=rng)
        held += found.low <= 0 <= found.high
    assert 0.85 <= held / 200 <= 0.95


def test_the_interval_of_independent_days_is_that_of_the_normal_distribution():
    x = np.random.default_rng(6).standard_normal(300)
    found = mean_with_interval(x, block=1, draws=20_000)
    half = stats.norm.ppf(0.95) * x.std() / math.sqrt(300)
    assert found.value == pytest.approx(x.mean())
    assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.005)
    wide = mean_with_interval(x, block=1, level=0.99)
    assert wide.low < found.low < found.high < wide.high


def test_the_same_question_has_the_same_answer():
    x = np.random.default_rng(7).standard_normal(50)
    assert mean_with_interval(x) == mean_with_interval(x)
    assert mean_with_interval(x, rng=np.random.default_rng(1)) != mean_with_interval(x)


def test_skill_is_that_of_the_sums_and_resamples_both_together():
    ours, theirs = np.array([1.0, 8.0, 3.0]), np.array([2.0, 10.0, 4.0])
    found = skill_interval(ours, theirs)
    assert found.value == pytest.approx(1 - 12 / 16)
    assert 0.2 <= found.low <= found.value <= found.high <= 0.5  # the worst day, and the best
    wild = np.random.default_rng(8).lognormal(0, 2, 100)
    same = skill_interval(0.7 * wild, wild)
    assert tuple(same) == pytest.approx((0.3, 0.3, 0.3))


def test_a_real_difference_is_told_from_none():
    rng = np.random.default_rng(9)
    day = np.repeat(np.arange(200), 24)
    noise = rng.standard_normal(200)[day] + rng.standard_normal(len(day))
    none = diebold_mariano(noise - noise.mean(), day)
    assert none.p_value == pytest.approx(1)
    real = diebold_mariano(noise + 0.5, day, block=1)
    assert real.difference == pytest.approx(noise.mean() + 0.5)
    by_day = noise.reshape(200, 24).mean(axis=1)
    assert real.error == pytest.approx(by_day.std() / math.sqrt(200), rel=0.05)  # of whole days
    z = real.difference / real.error
    assert real.p_value == pytest.approx(2 * stats.norm.sf(z))
    assert diebold_mariano(-noise - 0.5, day, block=1).p_value == pytest.approx(real.p_value)


def test_the_test_rejects_a_true_equality_as_often_as_it_says():
    rng = np.random.default_rng(10)
    day = np.repeat(np.arange(250), 4)
    rejected = 0
    for _ in range(300):
        difference = autoregression(1000, 0.5, rng)  # bars of a day depend on each other
        rejected += diebold_mariano(difference, day, draws=300, rng=rng).p_value < 0.05
    assert 0.02 <= rejected / 300 <= 0.10


def test_bars_may_come_in_any_order_and_days_be_dates():
    day = np.array(["2026-01-02", "2026-01-01", "2026-01-02"], "datetime64[D]")
    found = diebold_mariano(np.array([2.0, 5.0, 2.0]), day)
    assert found.difference == 3
    assert found.error > 0


def test_what_is_not_defined_is_nan():
    none, one = np.zeros(0), np.ones(1)
    assert np.isnan(mean_with_interval(none)).all()
    single = mean_with_interval(one)
    assert single.value == 1
    assert np.isnan([single.low, single.high]).all()
    assert np.isnan(skill_interval(one, 0 * one)).all()
    assert np.isnan(diebold_mariano(none, none)).all()
    alone = diebold_mariano(one, one)
    assert alone.difference == 1
    assert np.isnan([alone.error, alone.p_value]).all()
    assert math.isnan(diebold_mariano(np.zeros(5), np.arange(5)).p_value)


def test_bad_input_is_refused():
    rng, two = np.random.default_rng(1), np.array([1.0, 2.0])
    for bad in ((0, 1, 1), (1, 0.5, 1), (1, 1, 0), (1, math.nan, 1)):
        with pytest.raises(ValueError, match="of one or more"):
            stationary_bootstrap(*bad, rng)
    with pytest.raises(ValueError, match="leave out the others"):
        mean_with_interval(np.array([1.0, math.nan]))
    for level in (0, 1):
        with pytest.raises(ValueError, match="between zero and one"):
            mean_with_interval(two, level=level)
    with pytest.raises(ValueError, match="two deviances"):
        skill_interval(two, np.ones(3))
    with pytest.raises(ValueError, match="two deviances"):
        skill_interval(two, -two)
    with pytest.raises(ValueError, match="each bar needs its day"):
        diebold_mariano(two, np.ones(3))
    for k, n, z in ((2, 1, 1.96), (-1, 1, 1.96), (1, 2, 0)):
        with pytest.raises(ValueError, match="hits must be from zero to tries"):
            wilson(k, n, z)
