"""The fitted mix: METHODS of old tested by simulation, closed forms, and what must not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from plimsoll.analytics.leverage import (
    SHAPE,
    common_size,
    fit,
    joined,
    likeliest_size,
    likelihood,
)

INF = math.inf
MIX = np.array([0.30, 0.30, 0.22, 0.12, 0.06])
LEVERAGE = np.array([5, 10, 25, 50, 100])

several = settings(max_examples=30, deadline=None)


def market(bars=12_000, capture=0.5, calm=False, seed=3):
    """Exposures of a mix of equal parts, as a price path crosses entries of the last hours.

    Each bar has the extreme it reached below each of the entries before it, and what of each
    tier stood between the old extreme and the new.
    """
    rng = np.random.default_rng(seed)
    price = np.cumsum(rng.standard_t(3, bars) * 0.0015) if not calm else np.zeros(bars)
    low = price - rng.exponential(0.003 if calm else 0.001, bars)
    exposure = np.zeros((bars, len(LEVERAGE)))
    entries = rng.gamma(2, 30, bars)
    for tier, away in enumerate(-np.log1p(-1 / LEVERAGE)):
        held: dict[int, float] = {}
        for t in range(bars):
            reached = math.floor(low[t] / 0.001)
            for bucket in [bucket for bucket in held if bucket >= reached]:
                exposure[t, tier] += held.pop(bucket)
            bucket = math.floor((price[t] - away) / 0.001)
            if bucket < reached:
                held[bucket] = held.get(bucket, 0.0) + entries[t]
    mean = exposure @ (MIX * len(MIX)) / len(MIX) * capture
    return exposure / len(MIX), mean, rng


def poisson_deviance(n, mu):
    return 2 * float(np.where(n > 0, n * np.log(np.maximum(n, 1) / mu), 0).sum() - (n - mu).sum())


@pytest.fixture(scope="module")
def simulated():
    exposure, mean, rng = market()
    return exposure, rng.poisson(mean), np.arange(len(mean)) // 288


def test_the_true_mix_and_capture_of_a_simulation_come_back(simulated):
    exposure, orders, day = simulated
    half = len(day) // 2
    found = fit(exposure[:half], orders[:half], day[:half], draws=0)
    masses = found.multiplier / len(MIX)
    assert masses / masses.sum() == pytest.approx(MIX, abs=0.03)
    assert masses.sum() == pytest.approx(0.5, rel=0.05)


def test_out_of_sample_it_beats_equal_weights_and_the_range(simulated):
    exposure, orders, day = simulated
    half = len(day) // 2
    learnt, rest = np.s_[:half], np.s_[half:]
    found = fit(exposure[learnt], orders[learnt], day[learnt], draws=0)
    seen = exposure[rest].sum(axis=1) > 0
    n = orders[rest][seen]

    def deviance(columns):
        made = fit(columns[learnt], orders[learnt], day[learnt], draws=0)
        return poisson_deviance(n, (columns[rest] @ made.multiplier)[seen])

    mine = poisson_deviance(n, (exposure[rest] @ found.multiplier)[seen])
    touched = (exposure.sum(axis=1) > 0).astype(float)
    assert mine == deviance(exposure)
    assert mine < 0.8 * deviance(exposure.sum(axis=1, keepdims=True))
    assert mine < 0.2 * deviance(touched[:, None])


def test_on_a_calm_path_low_leverage_keeps_its_prior():
    exposure, mean, rng = market(bars=3_000, calm=True)
    assert (exposure[:, :3] == 0).all()
    assert exposure[:, 4].any()
    orders = rng.poisson(mean * 2)
    found = fit(exposure, orders, np.arange(3_000) // 288, draws=400)
    level = found.multiplier[:3]
    assert level == pytest.approx(np.full(3, level[0]), rel=1e-6)
    assert np.isfinite(found.draws).all()
    spread = np.log(found.draws[:, :3]).var(axis=0)
    assert (spread > 0.5 * np.var(np.log(stats.gamma(SHAPE).rvs(9_000, random_state=1)))).all()


# Closed forms


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.1, 20)), min_size=3, max_size=12))
@settings(max_examples=50, deadline=None)
def test_the_mode_of_one_tier_is_where_its_score_is_zero(rows):
    orders, exposure = np.array([n for n, _ in rows]), np.array([e for _, e in rows])
    if not orders.sum():
        return
    found = fit(exposure[:, None], orders, np.zeros(len(rows), dtype=int), draws=0)
    theta, r = float(found.multiplier[0]), found.size
    # With one tier the scale is the multiplier itself: the prior pulls nowhere.
    n, mu = orders, exposure * theta
    score = (n - (n + r) * mu / (mu + r)).sum()
    assert abs(score) < 2e-3 * max(1, orders.sum())
    if r > 900:  # Poisson's: orders over exposure
        assert theta == pytest.approx(orders.sum() / exposure.sum(), rel=0.05)


def test_the_mode_of_two_tiers_apart_is_the_shrunk_ratio():
    # Poisson counts of two tiers that never meet: theta = (n + a) / (E + a / s), s their mean
    # over the prior's.
    exposure = np.repeat(np.diag([4.0, 0.5]), 200, axis=0)
    orders = np.repeat([8, 2], 200)
    found = fit(exposure, orders, np.arange(400) // 20, draws=0)
    n, seen = np.array([1600.0, 400.0]), np.array([800.0, 100.0])
    scale = float(found.multiplier.mean())
    assert found.size > 900
    assert found.multiplier == pytest.approx((n + SHAPE) / (seen + SHAPE / scale), rel=5e-3)


def test_draws_of_one_row_a_tier_are_gammas():
    # Counts so even that the size is large: given the scale, the posterior of each multiplier is
    # Gamma(a + n, a / s + E); the scale hardly matters at a thousand orders.
    exposure = np.repeat(np.eye(2) * 10, 50, axis=0)
    orders = np.repeat([20, 5], 50)
    found = fit(exposure, orders, np.arange(100) // 2, draws=2_000, seed=1)
    assert found.inflation == 1.0
    for tier, (n, seen) in enumerate([(1_000, 500.0), (250, 500.0)]):
        wanted = stats.gamma(n + SHAPE, scale=1 / (seen + SHAPE))
        drawn = found.draws[:, tier]
        assert drawn.mean() == pytest.approx(wanted.mean(), rel=0.01)
        assert drawn.std() == pytest.approx(wanted.std(), rel=0.08)


@pytest.mark.parametrize("size", [0.1, 1.0, 12.0])
def test_the_likeliest_size_is_scipys(size):
    rng = np.random.default_rng(4)
    mean = rng.gamma(1, 3, 2_000)
    orders = rng.poisson(mean * rng.gamma(size, 1 / size, 2_000))

    def loss(log_size):
        r = math.exp(log_size)
        return -stats.nbinom.logpmf(orders, r, r / (r + mean)).sum()

    wanted = optimize.minimize_scalar(loss, bounds=(-6, 6), method="bounded").x
    assert math.log(likeliest_size(orders, mean)) == pytest.approx(wanted, abs=1e-3)


def test_the_likelihood_is_scipys_but_for_what_depends_on_counts_alone():
    rng = np.random.default_rng(5)
    exposure = rng.gamma(1, 1, (300, 3))
    orders = rng.poisson(exposure.sum(axis=1) * rng.gamma(0.5, 2, 300))
    day = np.arange(300) // 30
    one, other = (fit(exposure[:, :k], orders, day, draws=0) for k in (3, 1))

    def scipys(made, k):
        mean = exposure[:, :k] @ made.multiplier
        return stats.nbinom.logpmf(orders, made.size, made.size / (made.size + mean)).sum()

    ours = likelihood(exposure, orders, one) - likelihood(exposure[:, :1], orders, other)
    assert ours == pytest.approx(scipys(one, 3) - scipys(other, 1), rel=1e-6)


def test_the_mode_is_where_scipy_finds_the_posterior_highest():
    rng = np.random.default_rng(6)
    exposure = rng.gamma(0.3, 2, (400, 3))
    orders = rng.poisson(exposure @ [0.2, 1.0, 0.6] * rng.gamma(0.8, 1 / 0.8, 400))
    found = fit(exposure, orders, np.arange(400) // 20, draws=0)
    r = found.size

    def loss(logs):  # in the multipliers' logarithms, whose flat measure the sampler's is
        theta, log_scale = np.exp(logs[:3]), logs[3]
        said = stats.nbinom.logpmf(orders, r, r / (r + exposure @ theta)).sum()
        prior = SHAPE * (logs[:3] - log_scale) - SHAPE * np.exp(logs[:3] - log_scale)
        return -said - prior.sum()

    wanted = optimize.minimize(loss, np.zeros(4), method="BFGS").x[:3]
    assert np.log(found.multiplier) == pytest.approx(wanted, abs=5e-3)


# How sure it says it is


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(7)
    held = np.zeros(3)
    for turn in range(120):
        theta = rng.gamma(SHAPE, 1 / SHAPE, 3)
        exposure = np.repeat(np.eye(3), 40, axis=0) * rng.gamma(2, 1, (120, 1))
        exposure += 0.3 * rng.gamma(1, 1, (120, 3))
        orders = rng.poisson(exposure @ theta * rng.gamma(1.5, 1 / 1.5, 120))
        day = rng.permutation(120) // 2
        found = fit(exposure, orders, day, draws=120, seed=turn)
        low, high = np.quantile(found.draws, (0.05, 0.95), axis=0)
        held += (low <= theta) & (theta <= high)
    assert (held / 120 >= 0.80).all()
    assert (held / 120 <= 0.97).all()


def test_counts_told_many_times_over_leave_it_as_unsure_as_told_once():
    # Each row sixteen times, in the same day: the days' scores vary sixteen times as much as the
    # model says, and nothing was learnt. The second pair of tiers is crossed at the same times,
    # so that only the prior says how their sum is split.
    rng = np.random.default_rng(8)
    exposure = rng.gamma(1, 4, (60, 2)) @ np.array([[1.0, 0, 0], [0, 0.5, 0.5]])
    orders = rng.poisson(exposure.sum(axis=1))
    once = fit(exposure, orders, np.arange(60), draws=1_500, seed=1)
    told = fit(
        np.repeat(exposure, 16, axis=0),
        np.repeat(orders, 16),
        np.repeat(np.arange(60), 16),
        draws=1_500,
        seed=2,
    )
    assert once.inflation < 2
    assert told.inflation == pytest.approx(16 * once.inflation, rel=0.5)
    for draws in (lambda made: made.draws[:, 0], lambda made: made.draws[:, 1] / made.draws[:, 2]):
        spread = [np.log(draws(made)).std() for made in (once, told)]
        assert spread[1] == pytest.approx(spread[0], rel=0.25)


def test_other_seeds_draw_the_same_mix_where_counts_are_many_and_tiers_alike():
    rng = np.random.default_rng(9)
    exposure = rng.gamma(1, 40, (400, 1)) * rng.dirichlet([3, 3, 3], 400)
    orders = rng.poisson(exposure @ [1.0, 0.3, 2.0] * rng.gamma(4, 1 / 4, 400))
    made = [fit(exposure, orders, np.arange(400) // 10, draws=200, seed=at) for at in range(4)]
    means = np.array([one.draws.mean(axis=0) for one in made])
    spread = made[0].draws.std(axis=0)
    assert (means.std(axis=0) < 0.2 * spread).all()


# What must not matter


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, tiers = draw(st.integers(5, 80)), draw(st.integers(1, 4))
    exposure = rng.gamma(0.5, 2, (rows, tiers + 1)) * (rng.random((rows, tiers + 1)) < 0.5)
    orders = rng.poisson(exposure.sum(axis=1) * rng.gamma(1, 1, rows))
    return exposure, orders, rng.integers(0, 6, rows)


@several
@given(problems())
def test_joined_rows_say_the_same(problem):
    exposure, orders, day = problem
    fewer, counts, days, many = joined(exposure, orders, day)
    seen = (exposure > 0).any(axis=1)
    assert many.sum() == np.count_nonzero(seen)
    assert counts.sum() == orders[seen].sum()
    assert fewer.sum(axis=0) == pytest.approx(exposure.sum(axis=0))
    for one in np.unique(day):
        assert fewer[days == one].sum(axis=0) == pytest.approx(exposure[day == one].sum(axis=0))
    if orders[seen].sum():
        whole = fit(exposure[seen], orders[seen], day[seen], np.ones(seen.sum()), draws=0)
        part = fit(exposure, orders, day, draws=0)
        assert part.multiplier == pytest.approx(whole.multiplier, rel=1e-3)
        assert part.size == pytest.approx(whole.size, rel=1e-2)
        assert part.inflation == pytest.approx(whole.inflation, rel=1e-2)
        said = likelihood(fewer, counts, whole, many)
        assert said == pytest.approx(likelihood(exposure, orders, whole), rel=1e-4, abs=1e-4)


@several
@given(problems(), st.floats(1e-3, 1e3))
def test_the_unit_of_exposure_is_the_multipliers(problem, unit):
    exposure, orders, day = problem
    one, other = (fit(exposure * by, orders, day, draws=0) for by in (1.0, unit))
    if one.orders:
        assert other.multiplier * unit == pytest.approx(one.multiplier, rel=1e-2)


@several
@given(problems(), st.integers(0, 100))
def test_the_order_of_rows_does_not_matter(problem, seed):
    exposure, orders, day = problem
    order = np.random.default_rng(seed).permutation(len(day))
    one = fit(exposure, orders, day, draws=0)
    other = fit(exposure[order], orders[order], day[order], draws=0)
    assert other.multiplier == pytest.approx(one.multiplier, rel=1e-6)


@several
@given(problems())
def test_the_same_seed_draws_the_same_and_all_is_finite(problem):
    one, other = (fit(*problem, draws=5, seed=9) for _ in range(2))
    assert one.draws.tolist() == other.draws.tolist()
    assert (one.draws > 0).all()
    assert np.isfinite(one.draws).all()


# Bad input


@pytest.mark.parametrize(
    ("exposure", "orders"),
    [(np.ones((9, 3)), np.zeros(9, dtype=int)), (np.zeros((9, 3)), np.ones(9, dtype=int))],
)
def test_without_an_order_or_an_exposure_the_draws_are_the_priors(exposure, orders):
    found = fit(exposure, orders, np.arange(9), prior=np.array([1.0, 2.0, 0.5]), draws=4_000)
    assert (found.orders, found.rows, found.inflation, found.size) == (0, 0, 1.0, INF)
    assert found.multiplier.tolist() == [1.0, 2.0, 0.5]
    assert found.draws.mean(axis=0) == pytest.approx([1.0, 2.0, 0.5], rel=0.05)
    assert found.draws.std(axis=0) == pytest.approx(np.array([1, 2, 0.5]) / SHAPE**0.5, rel=0.08)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"exposure": np.ones((2, 2))}, "a row for each count"),
        ({"exposure": np.ones(3)}, "a row for each count"),
        ({"exposure": np.array([[1.0], [np.nan], [1.0]])}, "finite and not negative"),
        ({"exposure": -np.ones((3, 1))}, "finite and not negative"),
        ({"orders": np.array([0.5, 1, 1])}, "whole"),
        ({"orders": np.array([-1, 1, 1])}, "whole"),
        ({"orders": np.array([np.inf, 1, 1])}, "whole"),
        ({"orders": np.array([np.nan, 1, 1])}, "whole"),
        ({"prior": np.array([0.0])}, "1 positive multipliers"),
        ({"prior": np.ones(2)}, "1 positive multipliers"),
        ({"shape": 0.0}, "positive shape"),
    ],
)
def test_what_cannot_be_fitted_is_refused(changed, message):
    given = {"exposure": np.ones((3, 1)), "orders": np.ones(3, dtype=int), "day": np.arange(3)}
    with pytest.raises(ValueError, match=message):
        fit(**(given | changed))


@pytest.mark.parametrize(("size", "common"), [(0.8, 4.0), (2.0, 2.0)])
def test_what_neighbouring_cells_share_is_found(size, common):
    # Cells of a row share one gamma of size `common`; each has another, so that their product
    # varies by 1/size. It is no gamma itself, so that sizes are told only roughly.
    rng = np.random.default_rng(11)
    rows, cells = 6_000, 5
    mean = rng.gamma(2, 2, (rows, cells))
    together = rng.gamma(common, 1 / common, (rows, 1))
    own = (1 + 1 / size) / (1 + 1 / common) - 1
    alone = rng.gamma(1 / own, own, (rows, cells)) if own > 0 else 1.0
    orders = rng.poisson(mean * together * alone)
    found = likeliest_size(orders.ravel(), mean.ravel())
    assert found == pytest.approx(size, rel=0.2)
    sums = mean.sum(axis=1)
    evenness = (mean**2).sum(axis=1) / sums**2
    assert common_size(orders.sum(axis=1), sums, evenness, found) == pytest.approx(common, rel=0.5)
