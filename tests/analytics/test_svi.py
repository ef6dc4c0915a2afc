"""Smiles as curves: what the paper prints, and what a search finds again."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from plimsoll.analytics import black, ssvi, svi, svi_fit
from truths import svi as truths

K = np.linspace(-1, 1, 41)


def lowest(curve):
    return svi_fit.lowest(np.asarray(curve, dtype=np.float64))


def fitted(k, w, weight=None, start=None):
    weight = np.full(len(k), 1 / len(k)) if weight is None else weight
    start = np.array([0, len(k)] if start is None else start)
    curves = np.full((len(start) - 1, 5), np.nan)
    svi_fit.fit(k, w, weight, start, scales(w, start), curves)
    return curves


def scales(w, start):
    return np.array([np.sqrt(np.median(w[a:b])) for a, b in itertools.pairwise(start)])


def test_vogt_s_smile_has_the_wings_the_paper_prints():
    assert svi.jump_wings(truths.VOGT, 1.0) == pytest.approx(truths.VOGT_WINGS, rel=1e-6)


def test_vogt_s_smile_has_its_butterflies_where_the_paper_s_figure_has_them():
    place, depth = truths.VOGT_LOWEST
    k = np.arange(0.0, 2.0, 1e-4)
    g = svi.butterfly(truths.VOGT, k)
    assert k[g.argmin()] == pytest.approx(place, abs=1e-4)
    assert g.min() == pytest.approx(depth, abs=5e-8)
    low, high = truths.VOGT_NEGATIVE
    inside = svi.butterfly(truths.VOGT, [low - 1e-4, low, high, high + 1e-4])
    assert (inside < 0).tolist() == [False, True, True, False]
    assert lowest(truths.VOGT) == pytest.approx(depth, abs=1e-3)


def test_vogt_s_smile_is_repaired_as_the_paper_repairs_it():
    curve = svi.repaired(truths.VOGT, 1.0)
    v, skew, left, right, least = svi.jump_wings(curve, 1.0)
    assert (v, skew, left) == pytest.approx(truths.VOGT_WINGS[:3], rel=1e-6)
    assert right == pytest.approx(truths.REPAIRED_CALL_WING, abs=5e-8)
    assert least == pytest.approx(truths.REPAIRED_LEAST_VARIANCE, abs=5e-9)
    assert lowest(curve) > 0


def test_g_is_the_density_of_the_price():
    """Breeden and Litzenberger: the second slope of a call's price over the strike is the density.

    It is g(k) φ(d2) / (K √w), here by differences of Black's prices along the smile.
    """
    curve, step = np.array([0.02, 0.15, -0.4, 0.05, 0.25]), 1e-4
    for k in (-0.6, -0.1, 0.0, 0.3, 0.9):
        strikes = math.exp(k) + step * np.array([-1, 0, 1])
        w = svi.total_variance(curve, np.log(strikes))
        low, middle, high = black.price(1.0, strikes, 1.0, np.sqrt(w), True)
        density = (low - 2 * middle + high) / step**2
        d2 = -k / math.sqrt(w[1]) - math.sqrt(w[1]) / 2
        bell = math.exp(-(d2**2) / 2) / math.sqrt(2 * math.pi)
        expected = float(svi.butterfly(curve, k)) * bell / (math.exp(k) * math.sqrt(w[1]))
        assert density == pytest.approx(expected, abs=1e-5)


curves = st.tuples(
    st.floats(0.001, 0.2),
    st.floats(0.02, 0.8),
    st.floats(-0.8, 0.8),
    st.floats(-0.3, 0.3),
    st.floats(0.05, 0.8),
)


@given(curves, st.floats(0.01, 3))
def test_wings_lead_back_to_the_curve(curve, years):
    wings = svi.jump_wings(curve, years)
    again = svi.from_jump_wings(wings, years)
    # Where the least variance is nearly at the money, the wings do not tell where the turn is.
    if np.isfinite(again).all() and wings[0] - wings[4] > 1e-3 * wings[0]:
        found = svi.total_variance(again, K)
        assert found == pytest.approx(svi.total_variance(curve, K), rel=1e-2)


@given(curves)
def test_a_curve_is_found_again_from_its_quotes(curve):
    w = svi.total_variance(curve, K)
    (found,) = fitted(K, w)
    assert svi.total_variance(found, K) == pytest.approx(w, rel=5e-3)


@settings(max_examples=20)
@given(curves, st.integers(0, 2**31))
def test_no_other_search_finds_a_better_curve(curve, seed):
    """SciPy's simplex over the five parameters, begun at the truth, errs no less."""
    noise = np.random.default_rng(seed).normal(1, 0.02, len(K))
    w = svi.total_variance(curve, K) * noise
    weight = 1 / (4 * w * len(K))
    (found,) = fitted(K, w, weight)

    def loss(x, slack=0.0):
        a, b, rho, _, s = x
        bounds = (b < -slack, abs(rho) >= 0.999 + slack, s <= 1e-3 - slack)
        if any(bounds) or b * (1 + abs(rho)) > 2 + slack:
            return 1e3
        if a + b * s * math.sqrt(1 - rho**2) < -slack:
            return 1e3
        return float((weight * (svi.total_variance(x, K) - w) ** 2).sum())

    other = minimize(loss, curve, method="Nelder-Mead", options={"maxiter": 3_000})
    assert loss(found, 1e-9) <= other.fun * 1.02 + 1e-12  # at a bound, but for rounding


@given(curves)
def test_bounds_are_kept(curve):
    wild = svi.total_variance(curve, K) * (1 + 3 * np.cos(40 * K) ** 2)
    (a, b, rho, _, s), *_ = fitted(K, wild)
    assert b >= 0
    assert abs(rho) < 1
    assert s > 0
    assert b * (1 + abs(rho)) <= 2 + 1e-9
    assert a + b * s * math.sqrt(1 - rho**2) >= -1e-12


def refitted(slices):
    """Fit slices of one moment, then anew; return both."""
    k = np.concatenate([K] * len(slices))
    w = np.concatenate(slices)
    weight = np.concatenate([1 / (4 * one * len(K)) for one in slices])
    start = np.arange(len(slices) + 1) * len(K)
    plain = fitted(k, w, weight, start)
    shared = np.array([[np.nan, np.nan]] + [[K[0], K[-1]]] * (len(slices) - 1))
    mended = plain.copy()
    svi_fit.refit(k, w, weight, start, scales(w, start), shared, mended)
    return plain, mended, shared


def test_a_smile_with_butterflies_is_fitted_anew_without():
    (plain,), (mended,), _ = refitted([svi.total_variance(truths.VOGT, K)])
    assert svi.butterfly(plain, np.linspace(-4, 4, 8_001)).min() < -0.03
    assert svi.butterfly(mended, np.linspace(-4, 4, 8_001)).min() >= 0
    repair = svi.total_variance(svi.repaired(truths.VOGT, 1.0), K)
    true = svi.total_variance(truths.VOGT, K)
    assert np.std(svi.total_variance(mended, K) - true) < np.std(repair - true)


def test_an_expiry_below_the_one_before_is_fitted_anew_above_it():
    near = svi.total_variance([0.02, 0.1, -0.2, 0.0, 0.2], K)
    plain, mended, shared = refitted([near, 0.9 * near])
    before = np.append(plain[0], shared[1])
    assert svi_fit.crossing(plain[1], before) == pytest.approx(0.1, abs=0.02)
    assert svi_fit.crossing(mended[1], np.append(mended[0], shared[1])) <= 0


def test_a_surface_without_arbitrage_stays_as_it_is():
    slices = [svi.total_variance([0.02 * t, 0.1 * t, -0.2, 0.0, 0.2], K) for t in (1, 2, 4)]
    plain, mended, _ = refitted(slices)
    assert (plain == mended).all()


def test_the_common_form_is_found_again_and_tells_an_expiry_of_two_quotes():
    theta = np.array([0.01, 0.03, 0.06, 0.1])
    rho, eta, gamma = -0.35, 1.1, 0.4
    true = ssvi.curve(theta, rho, eta / (theta**gamma * (1 + theta) ** (1 - gamma)))
    k = np.concatenate([K, K[[18, 23]], K, K])
    of = np.repeat([0, 1, 2, 3], [len(K), 2, len(K), len(K)])
    w = svi.total_variance(true[of], k)
    known = np.where(np.arange(4) == 1, np.nan, theta)
    found = ssvi.fit(k, w, 1 / (4 * w), of, known)
    assert svi.total_variance(found[1], K) == pytest.approx(
        svi.total_variance(true[1], K), rel=1e-4
    )


@given(st.floats(0.001, 2), st.floats(-0.9, 0.9), st.floats(0.01, 0.5), st.floats(0.01, 1))
def test_the_common_form_has_no_butterflies(theta, rho, gamma, part):
    eta = 2 * part / (1 + abs(rho))
    curve = ssvi.curve(theta, rho, eta / (theta**gamma * (1 + theta) ** (1 - gamma)))
    assert float(svi.total_variance(curve, 0.0)) == pytest.approx(theta)
    assert lowest(curve) >= -1e-9
