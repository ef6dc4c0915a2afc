from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from plimsoll.validation.scores import (
    crps_nb,
    dispersion,
    earth_movers,
    log_probability,
    log_score,
    nb_deviance,
    poisson_deviance,
    skill,
    unit_deviance,
)

INF = math.inf

counts = st.lists(st.integers(0, 10_000), min_size=1, max_size=20)
sizes = st.floats(1e-3, 1e6) | st.just(INF)


def distribution(mu, size):
    if math.isinf(size):
        return stats.poisson(mu)
    return stats.nbinom(size, size / (size + mu))


def drawn(mu, size, seed=1):
    rng = np.random.default_rng(seed)
    return rng.poisson(mu) if math.isinf(size) else rng.poisson(rng.gamma(size, mu / size))


@pytest.mark.parametrize("size", [1e-3, 0.3, 1.0, 7.5, 1e4, INF])
def test_the_deviance_is_twice_the_likelihood_lost_to_a_perfect_forecast(size):
    # McCullagh and Nelder, eq. 2.7, with scipy's probabilities
    mu = np.array([0.01, 0.5, 1.0, 3.0, 40.0])
    n = np.array([1.0, 3.0, 1.0, 2.0, 55.0])
    lost = 2 * (distribution(n, size).logpmf(n) - distribution(mu, size).logpmf(n))
    assert unit_deviance(n, mu, size) == pytest.approx(lost, rel=1e-7, abs=1e-9)
    total = poisson_deviance(n, mu) if math.isinf(size) else nb_deviance(n, mu, size)
    assert total == pytest.approx(lost.sum(), rel=1e-7)


def test_where_nothing_came_the_deviance_has_a_closed_form():
    mu = np.array([0.0, 0.2, 5.0])
    assert unit_deviance(np.zeros(3), mu) == pytest.approx(2 * mu)
    assert unit_deviance(np.zeros(3), mu, 2.0) == pytest.approx(4 * np.log(1 + mu / 2))


def test_what_came_where_nothing_was_predicted_is_infinitely_wrong():
    n, mu = np.array([2.0, 1.0]), np.array([2.0, 0.0])
    assert poisson_deviance(n, mu) == INF
    assert nb_deviance(n, mu, 3.0) == INF
    assert log_score(n, mu, 3.0) == -INF
    assert log_score(n, mu, INF) == -INF


def test_counts_of_a_deviance_need_not_be_whole():
    by_hand = 2 * (0.5 * math.log(0.5 / 0.25) - 0.25)
    assert poisson_deviance(np.array([0.5]), np.array([0.25])) == pytest.approx(by_hand)


@given(counts, st.integers(0, 10_000), sizes)
def test_a_deviance_is_zero_where_both_are_equal_and_positive_elsewhere(n, other, size):
    n = np.array(n)
    assert unit_deviance(n, n, size).tolist() == [0] * len(n)
    mu = np.full(len(n), other)
    assert ((unit_deviance(n, mu, size) > 0) == (n != mu)).all()


@pytest.mark.parametrize("size", [1e-3, 0.3, 1.0, 7.5, INF])
def test_log_probabilities_are_scipys(size):
    n, mu = (part.ravel() for part in np.meshgrid(np.arange(40.0), [1e-2, 0.1, 1.0, 25.0]))
    wanted = distribution(mu, size).logpmf(n)
    assert log_probability(n, mu, size) == pytest.approx(wanted, rel=1e-10, abs=1e-10)
    assert log_score(n, mu, size) == pytest.approx(wanted.mean(), rel=1e-10)


@pytest.mark.parametrize("size", [1e-6, 0.5, 1e4, 1e9, 1e12])
def test_log_probabilities_keep_their_digits_at_any_size(size):
    # Γ(n + r) / (Γ(r) n!) as the product of (r + j) / (j + 1), and not by scipy, which loses them
    for n in (0, 1, 7, 300):
        for mu in (1e-9, 0.1, 25.0):
            ways = math.fsum(math.log((size + j) / (j + 1)) for j in range(n))
            wanted = ways + n * math.log(mu / (mu + size)) - size * math.log1p(mu / size)
            found = log_probability(np.array([n]), np.array([mu]), size)[0]
            assert found == pytest.approx(wanted, rel=1e-10, abs=1e-10)


def test_a_large_size_is_nearly_poisson():
    n, mu = np.arange(20), np.linspace(0.1, 30, 20)
    assert log_score(n, mu, 1e12) == pytest.approx(log_score(n, mu, INF), rel=1e-9)
    assert nb_deviance(n, mu, 1e12) == pytest.approx(poisson_deviance(n, mu), rel=1e-9)
    assert crps_nb(n, mu, 1e9) == pytest.approx(crps_nb(n, mu, INF), rel=1e-6)
    assert crps_nb(n, mu, 1001.0) == pytest.approx(crps_nb(n, mu, 999.0), rel=1e-4)


@pytest.mark.parametrize("size", [0.05, 0.5, 3.0, 40.0])
def test_dispersion_finds_the_size_that_counts_were_drawn_with(size):
    mu = np.random.default_rng(2).gamma(0.5, 4, 50_000)
    assert dispersion(drawn(mu, size), mu) == pytest.approx(size, rel=0.1)


def test_no_size_nearby_is_likelier_than_the_dispersion():
    mu = np.random.default_rng(3).gamma(1, 1, 500)
    n = drawn(mu, 0.7)
    found = dispersion(n, mu)
    best = distribution(mu, found).logpmf(n).sum()
    for factor in (0.1, 0.99, 1.01, 10):
        assert distribution(mu, found * factor).logpmf(n).sum() < best


def test_dispersion_of_counts_that_are_none_too_uneven_is_infinite():
    assert dispersion(np.array([1, 2, 1, 2]), np.full(4, 1.5)) == INF
    assert math.isnan(dispersion(np.zeros(3), np.ones(3)))
    assert math.isnan(dispersion(np.zeros(0), np.zeros(0)))
    with pytest.raises(ValueError, match="something came where nothing was predicted"):
        dispersion(np.array([1, 0]), np.array([0.0, 1.0]))


@pytest.mark.parametrize("size", [0.01, 0.3, 1.0, 2.5, 30.0, 1e3, 2e3, 1e4, INF])
def test_crps_is_the_sum_it_is_defined_as(size):
    k = np.arange(200_000)
    for mu in (0.01, 0.8, 12.0):
        below = distribution(mu, size).cdf(k)
        for n in (0, 1, 9):
            wanted = ((below - (k >= n)) ** 2).sum()
            found = crps_nb(np.array([n]), np.array([mu]), size)
            assert found == pytest.approx(wanted, rel=1e-6 if size <= 1e3 else 1e-5)


def test_crps_of_a_certain_forecast_is_its_error():
    for size in (0.5, INF):
        assert crps_nb(np.array([0, 4]), np.zeros(2), size) == 2


@pytest.mark.parametrize("size", [0.5, INF])
def test_scores_prefer_the_truth(size):
    mu = np.random.default_rng(4).gamma(1, 2, 20_000)
    n = drawn(mu, size)
    for wrong in (0.7 * mu, 1.5 * mu, np.full(len(mu), mu.mean())):
        assert log_score(n, mu, size) > log_score(n, wrong, size)
        assert crps_nb(n, mu, size) < crps_nb(n, wrong, size)
        assert unit_deviance(n, mu, size).sum() < unit_deviance(n, wrong, size).sum()


def test_skill_is_the_share_of_deviance_removed():
    assert skill(0, 5) == 1
    assert skill(5, 5) == 0
    assert skill(10, 5) == -1
    assert skill(INF, 5) == -INF
    assert math.isnan(skill(0, 0))
    assert math.isnan(skill(INF, INF))
    with pytest.raises(ValueError, match="not negative"):
        skill(-1, 5)


masses = st.lists(st.floats(0, 1e3), min_size=8, max_size=8).filter(lambda all_: sum(all_) > 1e-3)


@given(st.lists(st.floats(-0.5, 0.5), min_size=8, max_size=8), masses, masses)
def test_the_earth_movers_distance_is_scipys(x, p, q):
    found = earth_movers(np.array(x), np.array(p), np.array(q))
    assert found == pytest.approx(1e4 * stats.wasserstein_distance(x, x, p, q), abs=1e-6)


def test_all_mass_moved_by_one_percent_is_a_hundred_basis_points():
    x = np.array([0.02, 0.0, 0.01])
    assert earth_movers(x, np.array([0.0, 7.0, 0.0]), np.array([0.0, 0.0, 1.0])) == 100
    assert math.isnan(earth_movers(x, np.zeros(3), np.ones(3)))
    assert math.isnan(earth_movers(x[:0], x[:0], x[:0]))


def test_without_a_cell_there_is_no_score():
    none = np.zeros(0)
    assert poisson_deviance(none, none) == 0
    assert math.isnan(log_score(none, none, 1.0))
    assert math.isnan(crps_nb(none, none, 1.0))


@pytest.mark.parametrize(
    ("n", "mu", "said"),
    [
        ([1, 2], [1], "one count and one mean for each cell"),
        ([[1]], [[1]], "one count and one mean for each cell"),
        ([-1], [1], "counts must be known, finite and not negative"),
        ([math.nan], [1], "counts must be known"),
        ([1], [math.nan], "means must be known"),
        ([1], [INF], "means must be known"),
    ],
)
def test_cells_that_cannot_be_scored_are_refused(n, mu, said):
    for score in (poisson_deviance, dispersion):
        with pytest.raises(ValueError, match=said):
            score(np.array(n), np.array(mu))


def test_bad_sizes_and_halves_of_a_liquidation_are_refused():
    one = np.ones(1)
    for size in (0, -1, math.nan):
        with pytest.raises(ValueError, match="size must be positive"):
            nb_deviance(one, one, size)
    with pytest.raises(ValueError, match="whole numbers"):
        log_score(one / 2, one, 1)
    with pytest.raises(ValueError, match="of one length"):
        earth_movers(one, one, np.ones(2))
    with pytest.raises(ValueError, match="finite and not negative"):
        earth_movers(one, one, -one)
