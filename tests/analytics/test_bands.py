from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from plimsoll.analytics.bands import LEVELS, bands, of_range

INF = math.inf


def cell(*masses):
    """One column of one side; the other side holds nothing."""
    tiers = np.zeros((1, 2, len(masses), 1), dtype=np.float32)
    tiers[0, 0, :, 0] = masses
    return tiers


def of_cell(mean, size, order=1.0):
    return bands(cell(mean), np.ones((4, 1)), size, np.array([order]))[:, 0, 0, 0]


def spread(draws, masses, size):
    """The size by the law of total variance, with numpy's own covariance."""
    mean = float(draws.mean(axis=0) @ masses)
    covariance = np.cov(draws, rowvar=False, bias=True)
    return mean, 1 / (1 / size + float(masses @ covariance @ masses) / mean**2)


@pytest.mark.parametrize("size", [0.02, 0.3, 1.0, 4.0, 50.0])
@pytest.mark.parametrize("mean", [0.01, 0.4, 1.0, 7.25, 60.0, 199.0])
def test_quantiles_of_few_orders_are_those_of_scipys_negative_binomial(mean, size):
    wanted = stats.nbinom.ppf(LEVELS, size, size / (size + mean))
    assert of_cell(mean, size).tolist() == wanted.tolist()


@pytest.mark.parametrize("size", [0.02, 0.3, 1.0, 4.0, 50.0, 1e4])
@pytest.mark.parametrize("mean", [201.0, 3e3, 1e5])
def test_quantiles_of_many_orders_are_those_too_but_for_an_order_and_a_thousandth(mean, size):
    wanted = stats.nbinom.ppf(LEVELS, size, size / (size + mean))
    assert of_cell(mean, size) == pytest.approx(wanted, abs=1.0, rel=1e-3)


@pytest.mark.parametrize("mean", [0.3, 20.0, 150.0, 5_000.0])
def test_evenly_standing_positions_of_a_sure_mix_are_poisson(mean):
    wanted = stats.poisson.ppf(LEVELS, mean)
    assert of_cell(mean, INF) == pytest.approx(wanted, abs=1.0 if mean > 200 else 0)


def test_a_mix_that_is_not_sure_widens_the_limits_as_the_law_of_total_variance_says():
    draws = np.random.default_rng(1).gamma(2, 0.5, (500, 2))
    masses = np.array([6.0, 3.0])
    mean, size = spread(draws, masses, 1.5)
    found = bands(cell(*masses), draws, 1.5, np.ones(1))[:, 0, 0, 0]
    assert found.tolist() == stats.nbinom.ppf(LEVELS, size, size / (size + mean)).tolist()


def test_several_cells_vary_each_by_itself_and_all_with_the_mix():
    # Two cells of 4 and 6 orders of one tier, size 2, multipliers 0.5 and 1.5: variance
    # (16 + 36) / 2 + 100 / 4 = 51 beyond Poisson's 10; size 100 / 51.
    draws = np.array([[0.5], [1.5]])
    found = of_range(np.array([[4.0], [6.0]]), draws, 2.0, 1.0)
    size = 100 / 51
    assert found.tolist() == stats.nbinom.ppf(LEVELS, size, size / (size + 10)).tolist()


def test_what_cells_share_does_not_average_out():
    # Four cells of 5 orders, size 2, of which they share size 8: beyond Poisson's 20 the variance
    # is (1/2 - 1/8) 4 · 25 + 400 / 8 = 87.5; size 400 / 87.5.
    found = of_range(np.full((4, 1), 5.0), np.ones((2, 1)), 2.0, 1.0, 8.0)
    size = 400 / 87.5
    assert found.tolist() == stats.nbinom.ppf(LEVELS, size, size / (size + 20)).tolist()
    with pytest.raises(ValueError, match="share more than they vary"):
        of_range(np.full((4, 1), 5.0), np.ones((2, 1)), 2.0, 1.0, 1.0)


def test_several_cells_of_one_are_that_cell():
    draws = np.random.default_rng(2).gamma(2, 0.5, (50, 3))
    masses = np.array([5.0, 0.5, 40.0])
    alone = bands(cell(*masses), draws, 0.7, np.array([2.0]))[:, 0, 0, 0]
    assert of_range(masses[None], draws, 0.7, 2.0) == pytest.approx(alone)


@given(st.floats(0, 1e4), st.floats(0.01, 100), st.floats(0.1, 1e6))
def test_the_unit_of_money_changes_nothing(mean, size, order):
    scale = 2.0 ** round(math.log2(order))
    before, after = of_cell(mean, size), of_cell(mean * scale, size, scale)
    assert after == pytest.approx(before * scale, rel=1e-6, abs=1e-30)


@given(st.floats(0, 500), st.floats(0, 500), st.floats(0.01, 100))
def test_limits_rise_with_the_level_and_with_the_mass(mean, more, size):
    low, high = of_cell(mean, size), of_cell(mean + more, size)
    assert low.tolist() == sorted(low)
    assert (high >= low - 1).all()  # an order less, where the branches meet


def test_what_is_not_known_stays_so_and_nothing_is_nothing():
    tiers = np.full((2, 2, 1, 3), np.nan, dtype=np.float32)
    tiers[1] = 0
    found = bands(tiers, np.ones((2, 1)), 1.0, np.array([np.nan, 1.0]))
    assert np.isnan(found[:, 0]).all()
    assert (found[:, 1] == 0).all()
    assert np.isnan(of_range(np.array([[np.nan], [2.0]]), np.ones((2, 1)), 1.0, 1.0)).all()
    assert of_range(np.zeros((0, 1)), np.ones((2, 1)), 1.0, 1.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("draws", "size", "order", "message"),
    [
        (np.ones((2, 3)), 1.0, np.ones(1), "a multiplier for each tier"),
        (np.ones((2, 2)), 1.0, np.ones(5), "an order for each column"),
        (np.ones((0, 2)), 1.0, np.ones(1), "need draws"),
        (np.ones((2, 2)), 0.0, np.ones(1), "size must be positive"),
        (np.ones((2, 2)), math.nan, np.ones(1), "size must be positive"),
    ],
)
def test_what_does_not_fit_together_is_refused(draws, size, order, message):
    with pytest.raises(ValueError, match=message):
        bands(cell(1.0, 2.0), draws, size, order)


def test_cells_without_a_multiplier_are_refused():
    with pytest.raises(ValueError, match="a multiplier for each tier"):
        of_range(np.ones((2, 3)), np.ones((4, 2)), 1.0, 1.0)
