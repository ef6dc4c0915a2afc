"""A score that knows the truth from noise, looks back only, and says what it cannot tell."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from fakes.swept import BEGIN, LIQUIDATIONS, PRIOR, hours, liquidations, market, swept
from plimsoll.analytics.cells import trial
from plimsoll.analytics.heatmap import liquidation_map
from plimsoll.validation.baselines import BASELINES, MAP, TWINS, exposures
from plimsoll.validation.baselines import PRIOR as NOT_FITTED
from plimsoll.validation.heatmap_score import forecast, score

UNIT = 100.0
WEEKLY = {"warm": 4, "learn": 6, "every": 7}
NONE = LIQUIDATIONS.to_frame()
RIVALS = [name for name in BASELINES if name != "equal weights"]  # the prior's are equal


@pytest.fixture(scope="module")
def true():
    return score(market(45, (0.6, 0.1, 0.1, 0.2), seed=3, unit=UNIT), **WEEKLY)


@pytest.fixture(scope="module")
def noise():
    """As many orders, anywhere that the price went."""
    bars = hours(45, 3)
    empty = trial(bars, NONE, PRIOR, unit=UNIT)
    orders = np.random.default_rng(4).poisson(0.5, len(empty.cells))
    events = liquidations(empty.cells, empty.price, orders, bars, UNIT)
    return score(trial(bars, events, PRIOR, unit=UNIT), **WEEKLY)


def row(scored, name):
    return scored.table.row(by_predicate=pl.col("forecast") == name, named=True)


def test_a_map_that_is_the_truth_beats_every_other_forecast(true):
    for name in (NOT_FITTED, *BASELINES):
        assert row(true, name)["skill"] > 0
        assert row(true, name)["deviance"] > row(true, MAP)["deviance"]
    for name in RIVALS:
        assert row(true, name)["low"] > 0
        assert row(true, name)["p"] < 0.05
        assert row(true, name)["log_score"] < row(true, MAP)["log_score"]


def test_a_map_that_is_the_truth_is_calibrated(true):
    told = true.summary
    assert abs(told["slope"] - 1) < 2 * told["slope_error"]
    assert told["pit_distance"] < 0.02
    assert told["auc"] > 0.9
    assert told["precision"] >= told["precision_low"] > 0.8
    high = true.reliability.sort("expected")[-1]
    assert high["came"].item() == pytest.approx(high["expected"].item(), rel=0.2)


def test_the_headline_is_the_skill_over_the_better_twin(true):
    told = true.summary
    assert told["twin"] == min(TWINS, key=lambda name: row(true, name)["deviance"])
    assert told["skill"] == row(true, told["twin"])["skill"]
    assert 0 < told["low"] < told["skill"] < told["high"]
    mine, other = (row(true, name)["deviance"] for name in (MAP, told["twin"]))
    assert told["skill"] == pytest.approx(1 - mine / other)
    assert (told["days"], told["silent"], told["unit_usd"]) == (35, 0, UNIT)


def test_of_noise_no_skill_is_claimed(noise):
    told = noise.summary
    assert told["low"] <= 0
    for name in ("covered range", *TWINS):
        assert row(noise, name)["low"] <= 0
    assert told["auc"] == pytest.approx(0.5, abs=0.05)
    assert abs(told["skill"]) < 0.05


def test_groups_part_the_cells(true):
    groups = true.groups
    for by in ("side", "distance", "day"):
        part = groups.filter(pl.col("by") == by)
        assert part["cells"].sum() == true.summary["cells"]
        assert part["orders"].sum() == true.summary["orders"]
    names = groups.filter(pl.col("by") == "distance")["group"].to_list()
    assert names == ["0% to 2%", "2% to 5%", "5% to 10%", "beyond 10%"]


def test_a_day_is_volatile_if_its_range_is_above_the_median_of_those_scored():
    made = forecast(market(16, seed=5, unit=UNIT), warm=3, learn=4, every=9)
    bars = hours(16, 5).with_columns(day=pl.col("time").dt.epoch("d"))
    daily = bars.group_by("day").agg(width=(pl.col("high").max() / pl.col("low").min()).log())
    daily = daily.filter(pl.col("day").is_in(np.unique(made.day).tolist()))
    wild = daily.filter(pl.col("width") > pl.col("width").median())["day"].to_list()
    assert np.unique(made.day[made.volatile]).tolist() == sorted(wild)


# Prequential


def test_liquidations_of_a_day_change_no_bit_of_its_forecast_or_of_an_earlier_one():
    subject = market(15, seed=6, unit=UNIT)
    days = np.unique(subject.day)
    other = subject.orders.copy()
    changed = subject.day >= days[12]
    other[changed] = np.random.default_rng(1).permutation(other[changed]) * 3
    one, two = (
        forecast(dataclasses.replace(subject, orders=orders), warm=4, learn=6)
        for orders in (subject.orders, other)
    )
    past = one.day <= days[12]
    after = one.day > days[12]
    assert past.any()
    for name in one.mean:
        assert np.array_equal(one.mean[name][past], two.mean[name][past])
        earlier = one.day < days[12]
        assert np.array_equal(one.log[name][earlier], two.log[name][earlier])
        assert not np.array_equal(one.mean[name][after], two.mean[name][after])


def test_each_forecast_is_fitted_to_the_days_before_and_to_no_other():
    subject = market(14, seed=7, unit=UNIT)
    made = forecast(subject, warm=3, learn=4, every=30)
    days = np.unique(subject.day)
    past = (subject.day >= days[3]) & (subject.day < days[7])
    (range_only,) = exposures(subject)["covered range"]
    # One multiplier: its mode makes the negative binomial's score of the past zero.
    by = made.mean["covered range"] / range_only[subject.day >= days[7], 0]
    assert by == pytest.approx(np.full(len(by), by[0]))
    counted = subject.per_row(subject.orders)[past[subject.rows]].sum()
    seen = subject.per_row(range_only)[past[subject.rows]].sum()
    assert by[0] == pytest.approx(counted / seen, rel=0.35)


# Data that cannot tell


def test_a_feed_switched_off_half_way_is_scored_while_it_was_on():
    bars = hours(40, 3)
    events = swept(bars, PRIOR, unit=UNIT)
    heard = events.filter(pl.col("time") < BEGIN + 22 * pl.duration(days=1))
    made = score(trial(bars, heard, PRIOR, unit=UNIT), **WEEKLY)
    assert made.summary["days"] == 12
    assert row(made, "covered range")["low"] > 0
    assert made.summary["slope"] == pytest.approx(1, abs=0.15)


def test_a_feed_that_began_late_is_learnt_from_first():
    bars = hours(40, 3)
    events = swept(bars, PRIOR, unit=UNIT)
    heard = events.filter(pl.col("time") >= BEGIN + 20 * pl.duration(days=1))
    made = score(trial(bars, heard, PRIOR, unit=UNIT), **WEEKLY)
    assert made.summary["days"] == 14
    assert row(made, "covered range")["low"] > 0


def test_days_without_a_liquidation_are_counted_and_named():
    bars = hours(25, 3)
    day = (pl.col("time") - BEGIN).dt.total_days()
    events = swept(bars, PRIOR, unit=UNIT).filter(~day.is_in([15, 16]))
    told = score(trial(bars, events, PRIOR, unit=UNIT), **WEEKLY).summary
    assert (told["days"], told["silent"]) == (15, 2)


def test_without_a_liquidation_there_is_no_score():
    with pytest.raises(ValueError, match="needs liquidations"):
        score(trial(hours(20), NONE, PRIOR))


@pytest.mark.parametrize("days", [6, 12])
def test_with_too_few_days_there_is_no_score(days):
    with pytest.raises(ValueError, match=r"needs 9 days or more .* after 4 that only fill"):
        score(market(days, unit=UNIT), **WEEKLY)


def without(bars, when):
    return bars.with_columns(
        pl.when(~when).then(name).alias(name) for name in bars.columns if name != "time"
    )


@pytest.mark.parametrize("what", ["price", "interest"])
def test_holes_in_the_data_leave_a_score_of_the_rest(what):
    bars = hours(25, 3)
    events = swept(bars, PRIOR, unit=UNIT)
    day = (pl.col("time") - BEGIN).dt.total_days()
    if what == "price":
        bars = without(bars, day.is_between(12, 13))
    else:
        hole = pl.col("time").dt.hour().is_between(2, 9)
        bars = bars.with_columns(
            pl.when(~hole).then(name).alias(name) for name in ("open_interest", "open_interest_usd")
        )
    made = score(trial(bars, events, PRIOR, unit=UNIT), **WEEKLY)
    assert made.summary["days"] == (13 if what == "price" else 15)
    assert made.table.select(pl.col("deviance", "log_score").is_finite().all()).row(0) == (
        True,
        True,
    )
    assert row(made, "covered range")["skill"] > 0


def test_without_open_interest_no_skill_is_claimed():
    bars = hours(20, 3)
    events = swept(bars, PRIOR, unit=UNIT)
    unknown = bars.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("open_interest", "open_interest_usd")
    )
    told = score(trial(unknown, events, PRIOR, unit=UNIT), **WEEKLY).summary
    assert told["skill"] == 0
    assert told["low"] <= 0


def test_a_maintenance_that_forbids_high_leverage_is_scored_all_the_same():
    prior = replace(PRIOR, leverage=(2, 3, 5, 10), maintenance=0.06)
    bars = hours(25, 3)
    made = score(trial(bars, swept(bars, prior, unit=UNIT), prior, unit=UNIT), **WEEKLY)
    assert row(made, "volume profile")["skill"] > 0


def test_a_score_says_what_wicks_would_have_crossed():
    bars = hours(16, 3)
    ends = [pl.min_horizontal("open", "close"), pl.max_horizontal("open", "close")]
    marked = bars.with_columns(mark_low=ends[0], mark_high=ends[1])
    few = {"warm": 3, "learn": 4, "every": 30}
    told = score(trial(marked, swept(bars, PRIOR, unit=UNIT), PRIOR, unit=UNIT), **few).summary
    plain = score(trial(bars, swept(bars, PRIOR, unit=UNIT), PRIOR, unit=UNIT), **few).summary
    assert (told["crossed_on"], plain["crossed_on"]) == ("mark price", "trades")
    assert plain["crossed_usd"] == plain["crossed_on_trades_usd"]
    # The days scored are the last ones; the map drawn of the same bars says what it crossed there.
    assert told["days"] == plain["days"]
    drawn = liquidation_map(marked, PRIOR)
    since = BEGIN + timedelta(days=16 - told["days"])
    for name, crossed in (
        ("crossed_usd", drawn.crossed),
        ("crossed_on_trades_usd", drawn.crossed_on_trades),
    ):
        sums = crossed.filter(pl.col("time") >= since).select(pl.exclude("time").sum()).row(0)
        assert list(told[name].values()) == pytest.approx(sums)
    assert told["crossed_on_trades_usd"] == pytest.approx(plain["crossed_usd"])
    assert told["crossed_usd"]["long"] < plain["crossed_usd"]["long"]
