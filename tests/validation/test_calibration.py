from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from plimsoll.validation.calibration import (
    calibration,
    coverage,
    pit_distance,
    randomised_pit,
    reliability,
)

INF = math.inf


def drawn(mu, size, seed=1):
    rng = np.random.default_rng(seed)
    return rng.poisson(mu) if math.isinf(size) else rng.poisson(rng.gamma(size, mu / size))


def test_of_two_means_the_line_goes_through_both():
    # With two means the line fits the mean count m of each: b = log(m₂ / m₁) / log(μ₂ / μ₁).
    # The variance of log m is Σ(n − m)² / (N m)²; with each cell alone, times 8 / 7 here.
    n, mu = np.array([0, 1, 2, 3, 2, 6, 8, 8]), np.array([2.0] * 4 + [6.0] * 4)
    first, second = 5 / (4 * 1.5) ** 2, 24 / (4 * 6) ** 2
    found = calibration(n, mu)
    slope = math.log(6 / 1.5) / math.log(3)
    assert found.b == pytest.approx(slope)
    assert found.a == pytest.approx(math.log(1.5) - slope * math.log(2))
    assert found.b_error == pytest.approx(math.sqrt(8 / 7 * (first + second)) / math.log(3))
    # a is log m₁ (1 + c) − log m₂ c with c = log μ₁ / log(μ₂ / μ₁)
    share = math.log(2) / math.log(3)
    variance = 8 / 7 * (first * (1 + share) ** 2 + second * share**2)
    assert found.a_error == pytest.approx(math.sqrt(variance))


def test_errors_are_summed_inside_groups():
    # Groups a and b pull log m₁ by (−1.5 − 0.5) / 6 and 2 / 6, log m₂ by −4 / 24 and 4 / 24
    n, mu = np.array([0, 1, 2, 3, 2, 6, 8, 8]), np.array([2.0] * 4 + [6.0] * 4)
    group = np.array(list("aabbaabb"))
    pull = (4 / 24 - 2 / 6) / math.log(3)
    found = calibration(n, mu, group)
    assert found.b_error == pytest.approx(math.sqrt(2 / 1 * 2 * pull**2))
    assert math.isnan(calibration(n, mu, np.zeros(8)).b_error)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(1e-4, 1e3)), min_size=3, max_size=40),
)
def test_the_line_leaves_nothing_that_the_prediction_explains(rows):
    # The likelihood equations: Σ(n − fit) = 0 and Σ(n − fit) log μ = 0
    n, mu = (np.array(part, float) for part in zip(*rows, strict=True))
    found = calibration(n, mu)
    if not math.isnan(found.b):
        left = n - np.exp(found.a + found.b * np.log(mu))
        assert left.sum() == pytest.approx(0, abs=1e-5 * (1 + n.sum()))
        assert left @ np.log(mu) == pytest.approx(0, abs=1e-4 * (1 + n.sum()))


@pytest.mark.parametrize("size", [0.5, INF])
def test_a_true_map_has_slope_one_and_what_is_captured_is_the_intercept(size):
    mu = np.random.default_rng(5).gamma(1, 1, 50_000) + 1e-3
    day = np.arange(50_000) // 500
    true = calibration(drawn(mu, size), mu, day)
    assert true.b == pytest.approx(1, abs=3 * true.b_error)
    assert true.a == pytest.approx(0, abs=3 * true.a_error)
    assert true.b_error < 0.03
    half = calibration(drawn(mu / 2, size), mu)
    assert half.a == pytest.approx(math.log(0.5), abs=3 * half.a_error)
    exaggerated = calibration(drawn(mu, size), mu**2)
    assert exaggerated.b == pytest.approx(0.5, abs=3 * exaggerated.b_error)


def test_errors_are_what_slopes_vary_by():
    mu = np.random.default_rng(6).gamma(1, 1, 2000) + 0.01
    found = [calibration(drawn(mu, 2.0, seed), mu) for seed in range(200)]
    varied = np.std([one.b for one in found])
    assert np.mean([one.b_error for one in found]) == pytest.approx(varied, rel=0.15)


@pytest.mark.parametrize(
    ("n", "mu"),
    [
        ([0, 0, 0], [1, 2, 3]),  # nothing came
        ([1, 2, 3], [2, 2, 2]),  # one mean
        ([0, 0, 3], [1, 2, 3]),  # the steeper the line, the likelier
        ([3, 0, 0], [1, 2, 3]),
        ([], []),
    ],
)
def test_where_no_line_is_the_likeliest_there_is_none(n, mu):
    assert np.isnan(calibration(np.array(n), np.array(mu, float))).all()


def test_the_line_is_found_however_far_means_lie_apart():
    mu = np.array([1e-9, 1e-3, 1.0, 1e3, 1e6, 1e22])
    for slope in (-0.5, 0.01, 1.5):
        found = calibration(10 * mu**slope, mu)
        assert found.a == pytest.approx(math.log(10))
        assert found.b == pytest.approx(slope)


def test_reliability_has_classes_of_equally_many_cells():
    mu = np.random.default_rng(7).permutation(np.arange(1.0, 101))
    found = reliability(2 * mu, mu)
    assert found.cells.tolist() == [10] * 10
    assert found.mu == pytest.approx(np.arange(5.5, 100, 10))
    assert found.n == pytest.approx(2 * found.mu)


def test_reliability_keeps_equal_means_together():
    found = reliability(np.array([0, 0, 0, 1, 4]), np.array([1.0, 1.0, 1.0, 1.0, 5.0]), bins=4)
    assert found.mu.tolist() == [1, 5]
    assert found.n.tolist() == [0.25, 4]
    assert found.cells.tolist() == [4, 1]
    assert len(reliability(np.zeros(0), np.zeros(0)).n) == 0


@pytest.mark.parametrize("size", [0.3, 2.0, INF])
def test_the_pit_is_even_if_the_prediction_is_true(size):
    # Kolmogorov's distance of 20,000 even values is above 0.0115 once in a hundred times
    mu = np.random.default_rng(8).gamma(0.5, 2, 20_000)
    n, rng = drawn(mu, size), np.random.default_rng(9)
    pit = randomised_pit(n, mu, size, rng)
    assert stats.kstest(pit, "uniform").statistic < 0.0115
    assert pit_distance(pit) < stats.chi2.ppf(0.99, 9) / 20_000
    assert pit_distance(randomised_pit(n, 2 * mu, size, rng)) > 0.02
    assert pit_distance(randomised_pit(n, mu, 0.1 if math.isinf(size) else INF, rng)) > 0.02


@pytest.mark.parametrize("size", [0.02, 2.0, 1e7, INF])
def test_the_pit_lies_between_the_chance_of_less_and_of_no_more(size):
    n, mu = (part.ravel() for part in np.meshgrid(np.arange(30), [0.01, 1.0, 20.0]))
    of = stats.poisson(mu) if math.isinf(size) else stats.nbinom(size, size / (size + mu))
    pit = randomised_pit(n, mu, size, np.random.default_rng(1))
    assert (pit >= of.cdf(n - 1) - 1e-8).all()
    assert (pit <= of.cdf(n) + 1e-8).all()


def test_the_distance_is_pearsons_statistic_for_one_value():
    pit = np.random.default_rng(2).random(500) ** 1.2
    wanted = stats.chisquare(np.histogram(pit, 10, (0, 1))[0]).statistic
    assert 500 * pit_distance(pit) == pytest.approx(wanted)
    assert pit_distance(np.full(8, 0.33), bins=4) == 3
    assert math.isnan(pit_distance(np.zeros(0)))


def test_coverage_counts_the_limits_in():
    value = np.array([1.0, 2.0, 3.0, 4.0])
    found = coverage(value, np.array([1.0, 0.0, 3.5, -INF]), np.array([1.0, 2.0, 9.0, INF]))
    # three of four: Wilson's limits by hand, z = 1.96
    weight = 1.96**2 / 4
    half = math.sqrt(0.75 * 0.25 * weight + weight**2 / 4)
    assert found.value == 0.75
    assert found.low == pytest.approx((0.75 + weight / 2 - half) / (1 + weight))
    assert found.high == pytest.approx((0.75 + weight / 2 + half) / (1 + weight))
    assert np.isnan(coverage(value[:0], value[:0], value[:0])).all()


def test_bad_input_is_refused():
    one, rng = np.ones(1), np.random.default_rng(1)
    with pytest.raises(ValueError, match="mean of zero has no logarithm"):
        calibration(one, 0 * one)
    with pytest.raises(ValueError, match="each cell needs its group"):
        calibration(one, one, np.ones(2))
    with pytest.raises(ValueError, match="one bin or more"):
        reliability(one, one, 0)
    with pytest.raises(ValueError, match="whole numbers"):
        randomised_pit(one / 2, one, 1.0, rng)
    with pytest.raises(ValueError, match="from zero to one"):
        pit_distance(2 * one)
    with pytest.raises(ValueError, match="two bins or more"):
        pit_distance(one, 1)
    with pytest.raises(ValueError, match="needs its limits"):
        coverage(one, one, np.ones(2))
    with pytest.raises(ValueError, match="at most the upper one"):
        coverage(one, 2 * one, one)
