"""The fitted map on made-up markets whose true mix is known, and on data that cannot tell one."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from fakes.swept import BEGIN, LIQUIDATIONS, PRIOR, hours, market, swept
from plimsoll.analytics.bands import bands
from plimsoll.analytics.cells import trial
from plimsoll.analytics.fitting import CANDIDATES, averaged, candidates, fitted, fitted_together
from plimsoll.analytics.heatmap import liquidation_map
from plimsoll.analytics.inventory import Parameters

TRUTH = (0.5, 0.1, 0.1, 0.3)
NONE = LIQUIDATIONS.to_frame()
DAY = pl.duration(days=1)


def distance(one, other):
    return float(np.abs(np.asarray(one) - np.asarray(other)).sum())


@pytest.fixture(scope="module")
def known():
    return market(50, TRUTH, seed=2, unit=300.0)


@pytest.fixture(scope="module")
def found(known):
    return fitted(known)


def staying(made):
    """The part of a fitted map that takes nobody to leave before the price comes: so it is here."""
    return max(part for part in made.parts if part[1].attrition == 0)[1]


def test_the_true_mix_comes_nearer_on_every_market(found):
    for made in (found, *(fitted(market(50, TRUTH, seed=seed, unit=300.0)) for seed in (3, 4))):
        assert distance(staying(made).weights, TRUTH) < distance(PRIOR.weights, TRUTH) / 2
        assert distance(made.parameters.weights, TRUTH) < distance(PRIOR.weights, TRUTH)
        assert made.identified[2:].any()
        assert (made.parameters.churn, made.parameters.memory) == (0.2, 0.0)


def test_the_mix_table_is_what_the_map_is_drawn_with(found):
    mix = found.mix()
    assert mix["share"].to_list() == pytest.approx(found.parameters.weights)
    assert mix["share"].sum() == pytest.approx(1)
    assert mix["prior"].to_list() == list(PRIOR.weights)
    assert (mix["low"] < mix["share"]).all()
    assert (mix["share"] < mix["high"]).all()
    assert found.tried["probability"].sum() == pytest.approx(1)
    assert found.tried["probability"].to_list() == sorted(found.tried["probability"], reverse=True)


def test_of_a_complete_feed_the_scale_is_the_share_that_can_be_liquidated(found):
    assert found.complete
    assert staying(found).liquidatable == pytest.approx(0.5, rel=0.2)
    halved = fitted(market(50, TRUTH, seed=2, unit=300.0, capture=0.5))
    assert staying(halved).liquidatable == pytest.approx(0.25, rel=0.4)
    assert distance(staying(halved).weights, TRUTH) < distance(PRIOR.weights, TRUTH)


def test_more_liquidations_than_all_open_interest_has_are_said_to_be_held_to_all_of_it(found):
    # Half of the open interest stood there; four times as much was liquidated as it can have.
    most = market(50, TRUTH, seed=2, unit=300.0, capture=4.0)
    made = fitted(most)
    assert made.liquidatable > 1.2
    assert staying(made).liquidatable == 1
    told = made.describe()
    assert told["clamped"] is True
    assert told["liquidatable_asked"] == made.liquidatable
    assert "more than all open interest: held to all" in liquidation_map(hours(20), fit=made).said
    assert found.liquidatable < 1
    assert found.clamped == any(part.liquidatable == 1 for _, part in found.parts)
    assert not fitted(trial(hours(20), NONE, PRIOR)).clamped


def test_of_a_feed_that_is_not_the_share_stays_assumed_and_the_draws_say_how_unsure_it_is(found):
    part = fitted(
        market(50, TRUTH, seed=2, unit=300.0, capture=0.1, completeness="sampled"), draws=2_000
    )
    assert not part.complete
    assert part.parameters.liquidatable == PRIOR.liquidatable
    told = part.describe()
    assert (
        told["scale_means"] == "that share times the part of liquidations published; not told apart"
    )
    total = part.draws @ part.parameters.weights
    # Two in three between half and double of the assumed share: log sd 0.7, mean one.
    assert np.log(total).std() == pytest.approx(0.7, rel=0.1)
    assert total.mean() == pytest.approx(1, rel=0.1)
    # Of a complete feed the level is as sure as who leaves is: all draws of one kind agree.
    level = np.sort(np.log(found.draws @ found.parameters.weights))
    assert min(level[: len(level) // 4].std(), level[-(len(level) // 4) :].std()) < 0.2


def test_draws_multiply_the_fitted_map(found):
    tiers = np.ones((1, 2, 4, 3), dtype=np.float32)
    low, middle, high = bands(tiers, found.draws, found.cell_size, np.ones(1))
    assert (low <= middle).all()
    assert (middle < high).all()
    assert found.draws.mean(axis=0) == pytest.approx(np.ones(4))


def test_unevenness_in_cells_is_that_of_the_truth(found):
    assert found.cell_size == pytest.approx(2.0, rel=0.4)


def test_the_same_seed_gives_the_same_fit(known, found):
    again = fitted(known)
    assert again.parameters == found.parameters
    assert again.draws.tolist() == found.draws.tolist()


def _word(value):
    return tuple(value) if isinstance(value, list) else value


def test_every_combination_is_tried_and_counts_as_likely_as_it_is(known, found):
    tried = candidates(PRIOR)
    assert len(tried) == math.prod(map(len, CANDIDATES.values())) == len(set(tried))
    churns = candidates(PRIOR, ["churn"])
    assert [one.churn for one in churns] == list(CANDIDATES["churn"])
    even = known.background()[:, None]
    exposures = [np.hstack([known.stood(parameters=one), even]) for one in tried]
    rows = known.heard(7)[known.rows]
    alone = np.array([averaged(known, [one], rows) for one in exposures])
    chance = {
        tuple(_word(row[name]) for name in CANDIDATES): row["probability"]
        for row in found.tried.iter_rows(named=True)
    }
    shares = [chance[tuple(_word(getattr(one, name)) for name in CANDIDATES)] for one in tried]
    assert sum(shares) == pytest.approx(1)
    mean = averaged(known, exposures, rows)
    assert mean == pytest.approx(np.array(shares) @ alone, rel=1e-6)
    assert [share for share, _ in found.parts] == pytest.approx([s for s in shares if s])
    assert found.prior == tried[int(np.argmax(shares))]


# Several exchanges


@pytest.fixture(scope="module")
def exchanges():
    return [market(30, TRUTH, seed=seed, unit=300.0) for seed in (5, 6, 7)]


def test_the_order_of_exchanges_does_not_matter(exchanges):
    one = fitted_together(exchanges, draws=50)
    other = fitted_together(exchanges[::-1], draws=50)[::-1]
    for left, right in zip(one, other, strict=True):
        assert left.parameters.weights == pytest.approx(right.parameters.weights, rel=1e-6)
        assert left.shares == pytest.approx(right.shares, rel=1e-6)


def test_one_exchange_together_is_that_exchange_alone(exchanges):
    (together,) = fitted_together(exchanges[:1], draws=20)
    assert together.parameters == fitted(exchanges[0], draws=20).parameters
    assert fitted_together([]) == []


def test_an_exchange_without_liquidations_takes_the_mix_of_the_others(exchanges):
    bars = hours(30, seed=8)
    silent = trial(bars, NONE, PRIOR)
    *_, made = fitted_together([*exchanges, silent], draws=50)
    assert distance(made.parameters.weights, TRUTH) < 0.7 * distance(PRIOR.weights, TRUTH)
    assert made.parameters.liquidatable == PRIOR.liquidatable
    assert not made.identified.any()


# Data that cannot tell


def assert_nothing_is_told(made, prior=PRIOR):
    assert made.orders == 0
    assert not made.identified.any()
    assert made.describe()["identified"] is False
    assert made.describe()["scale"] is None
    assert made.parameters.weights == pytest.approx(prior.weights)
    assert replace(made.parameters, weights=prior.weights) == prior
    assert made.mix()["share"].to_list() == pytest.approx(prior.weights)
    assert math.isnan(made.cell_size)
    with pytest.raises(ValueError, match="size must be positive"):
        bands(np.ones((1, 2, 4, 1), np.float32), made.draws, made.cell_size, np.ones(1))


def test_without_a_liquidation_the_map_is_what_was_assumed():
    prior = replace(PRIOR, churn=0.35, weights=(0.4, 0.3, 0.2, 0.1))
    made = fitted(trial(hours(20), NONE, prior))
    assert_nothing_is_told(made, prior)
    assert (made.days, made.outside) == (0, 0.0)


def test_without_open_interest_the_map_is_what_was_assumed():
    bars = hours(20)
    events = swept(bars, PRIOR)
    unknown = bars.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("open_interest", "open_interest_usd")
    )
    assert_nothing_is_told(fitted(trial(unknown, events, PRIOR)))


def test_fewer_days_than_fill_the_map_tell_nothing():
    assert_nothing_is_told(fitted(market(6)))


def test_open_interest_missing_for_hours_leaves_the_mix_found():
    bars = hours(50, seed=2)
    events = swept(bars, replace(PRIOR, weights=TRUTH), unit=300.0, seed=2)
    hour = pl.col("time").dt.hour()
    holes = bars.with_columns(
        pl.when(~hour.is_between(3, 8)).then(name).alias(name)
        for name in ("open_interest", "open_interest_usd")
    )
    made = fitted(trial(holes, events, PRIOR, unit=300.0))
    assert distance(made.parameters.weights, TRUTH) < distance(PRIOR.weights, TRUTH)
    assert np.isfinite(made.shares).all()


def test_a_gap_in_the_prices_leaves_the_mix_found():
    bars = hours(50, seed=2)
    events = swept(bars, replace(PRIOR, weights=TRUTH), unit=300.0, seed=2)
    gap = pl.col("time").is_between(BEGIN + 20 * DAY, BEGIN + 23 * DAY)
    holes = bars.with_columns(
        pl.when(~gap).then(name).alias(name) for name in bars.columns if name != "time"
    )
    made = fitted(trial(holes, events, PRIOR, unit=300.0))
    assert distance(made.parameters.weights, TRUTH) < distance(PRIOR.weights, TRUTH)
    assert made.outside > 0.01  # what happened in the gap belongs to no cell
    assert np.isfinite(made.shares).all()


def test_a_feed_switched_off_half_way_does_not_halve_the_scale(found):
    bars = hours(50, seed=2)
    events = swept(bars, replace(PRIOR, weights=TRUTH), unit=300.0, seed=2)
    heard = events.filter(pl.col("time") < BEGIN + 28 * DAY)
    made = fitted(trial(bars, heard, PRIOR, unit=300.0))
    assert made.days <= 21 < found.days
    assert made.describe()["days"] == made.days
    ratio = np.median(made.scales) / np.median(found.scales)
    assert ratio == pytest.approx(1, abs=0.25)


def test_a_tier_nobody_is_assumed_to_use_stays_so():
    prior = replace(PRIOR, weights=(0.5, 0.0, 0.2, 0.3))
    bars = hours(25, seed=3)
    made = fitted(trial(bars, swept(bars, PRIOR, unit=300.0), prior, unit=300.0), draws=30)
    assert made.parameters.weights[1] == 0
    assert made.identified.tolist()[1] is False
    assert np.isfinite(made.draws).all()


def test_the_candidates_of_a_fit_have_sides_alike_at_any_age():
    apart = replace(
        PRIOR,
        shorts=(0.4, 0.3, 0.2, 0.1),
        liquidatable_shorts=0.1,
        lasting=(((2.0,) * 4,) * 4,) * 2,
    )
    assert candidates(apart) == candidates(PRIOR)


def test_a_single_point_identifies_nothing(known):
    made = fitted(known, draws=0)
    assert made.shares.shape == (1, 4)
    assert not made.identified.any()


def test_low_leverage_is_not_identified_where_the_price_stood_still():
    bars = hours(40, seed=1, wild=0.002)
    prior = Parameters(leverage=(3, 5, 50), weights=(0.3, 0.3, 0.4), step=0.002, maintenance=0.005)
    truth = replace(prior, weights=(0.1, 0.2, 0.7))
    made = fitted(trial(bars, swept(bars, truth, unit=300.0), prior, unit=300.0))
    one, other, _ = made.parameters.weights
    assert not made.identified[:2].any()
    assert one / other == pytest.approx(1, abs=0.15)  # as before
    assert np.isfinite(made.shares).all()
