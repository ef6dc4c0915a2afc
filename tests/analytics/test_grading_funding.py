"""Grades of funding: what is planted is named, what rests or differs by right is not accused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.grading_funding import funding_grades, hourly_premium

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAYS = timedelta(hours=1), 30
BTC = "BTC/USDT:USDT"
INTERVALS = {"a": 8, "b": 4, "c": 1}


def clamp(value, band):
    return np.clip(value, -band, band)


def market(seed=1, days=DAYS):
    """Settlements by the documented formula, and the hourly premiums they were made of.

    A common premium and one of each market, both of some hours' memory; F = P + clamp(I - P) of
    the mean premium of the interval, h / 8 of it.
    """
    draw = np.random.default_rng(seed)
    count = days * 24

    def remembered(scale):
        shocks, path = draw.normal(0, scale, count), np.zeros(count)
        for n in range(1, count):
            path[n] = 0.9 * path[n - 1] + shocks[n]
        return path

    common = remembered(0.0005)
    settled, premiums = [], []
    times = [START + (n + 1) * HOUR for n in range(count)]
    for venue, hours in INTERVALS.items():
        premium = common + remembered(0.0001)
        mean = premium.reshape(-1, hours).mean(axis=1)
        rates = (mean + clamp(0.0001 - mean, 0.0005)) * hours / 8
        names = {"exchange": venue, "symbol": BTC}
        settled.append(
            pl.DataFrame({"time": times[hours - 1 :: hours], **names, "rate": rates}).with_columns(
                interval_hours=pl.lit(float(hours)), status=pl.lit("settled")
            )
        )
        premiums.append(pl.DataFrame({"time": times, **names, "premium": premium}))
    utc = pl.col("time").cast(pl.Datetime("us", "UTC"))
    return pl.concat(settled).with_columns(utc), pl.concat(premiums).with_columns(utc)


def verdicts(settled, premiums):
    rows = funding_grades(settled, premiums).select("exchange", "grade", "reasons").rows()
    return {exchange: (grade, "; ".join(reasons)) for exchange, grade, reasons in rows}


def wrong(settled, venue, *columns, **named):
    own = settled.filter(exchange=venue).with_columns(*columns, **named)
    return pl.concat([settled.filter(pl.col("exchange") != venue), own])


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_sound_markets_are_all_graded_a(seed, marked):
    settled, premiums = market(seed)
    found = verdicts(settled, premiums if marked else premiums.clear())
    assert {grade for grade, _ in found.values()} == {"A"}


RATE, TIME = pl.col("rate"), pl.col("time")
PLANTED = {
    "sign": (-RATE, "the sign is turned"),
    "percent": (RATE * 100, "wrong unit: 100 times too large, as percent for a fraction"),
    "twice divided": (RATE / 100, "wrong unit: 100 times too small"),
    "eight hours' rate": (RATE * 8, "wrong interval: 8 times too large"),
    "an hour's rate": (RATE / 8, "wrong interval: 8 times too small"),
    "stale": (RATE.first(), "stale: unchanged for"),
    "an hour late": (TIME + HOUR, "shifted: its stamps are 1 h late"),
    "two hours early": (TIME - 2 * HOUR, "shifted: its stamps are 2 h early"),
}


@pytest.mark.parametrize("venue", INTERVALS)
@pytest.mark.parametrize("fault", PLANTED)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_planted_is_named_and_nobody_else_is(seed, fault, venue):
    settled, premiums = market(seed)
    change, words = PLANTED[fault]
    found = verdicts(wrong(settled, venue, change), premiums)
    grade, reasons = found.pop(venue)
    assert grade == "D"
    assert words in reasons
    assert {grade for grade, _ in found.values()} == {"A"}


@pytest.mark.parametrize("fault", ["sign", "percent", "eight hours' rate"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_marks_the_other_markets_name_what_is_far_off(seed, fault):
    settled, premiums = market(seed)
    change, words = PLANTED[fault]
    found = verdicts(wrong(settled, "a", change), premiums.clear())
    assert words in found.pop("a")[1]
    assert {grade for grade, _ in found.values()} == {"A"}


def test_an_interval_that_is_only_misstated_is_doubtful():
    settled, premiums = market()
    told = wrong(settled, "a", interval_hours=pl.lit(1.0))
    words = "wrong interval: states an interval of 1 h and settles every 8 h"
    assert verdicts(told, premiums)["a"] == ("C", words)


def test_a_rate_that_rests_because_the_premium_does_is_not_stale():
    # |P - I| <= 0.05 %: F is I exactly, whatever others pay (documentation of Bybit, Gate).
    settled, premiums = market()
    calm = pl.when(pl.col("exchange") == "a").then(0.0002).otherwise("premium")
    rests = wrong(settled, "a", rate=pl.lit(0.0001))
    assert verdicts(rests, premiums.with_columns(premium=calm))["a"] == ("A", "")
    binance = pl.col("exchange").replace({"a": "binance"})
    unmarked = verdicts(rests.with_columns(binance), premiums.clear())
    assert unmarked["binance"] == ("A", "")


def test_a_market_of_another_clock_is_compared_over_the_same_hours():
    # Each hour of a costs 0.0002 or 0.0004 for eight hours, day about; b and c cost the same. With
    # a settled at 04, 12 and 20 as on BitMEX, the interval from 20 to 04 holds both.
    times = [START + (n + 1) * HOUR for n in range(DAYS * 24)]
    of_hour = np.array([0.0002 if n // 24 % 2 else 0.0004 for n in range(DAYS * 24)])
    parts = []
    for venue, hours, first in (("a", 8, 4), ("b", 1, 0), ("c", 1, 0)):
        ends = range(first + hours - 1, len(times), hours)
        rates = [of_hour[end - hours + 1 : end + 1].mean() * hours / 8 for end in ends]
        names = {"exchange": venue, "symbol": BTC, "interval_hours": float(hours)}
        parts.append(pl.DataFrame({"time": [times[n] for n in ends], "rate": rates, **names}))
    settled = pl.concat(parts).with_columns(TIME.cast(pl.Datetime("us", "UTC")))
    found = funding_grades(settled, market(days=1)[1].clear())
    assert set(found["grade"]) == {"A"}
    row = found.filter(exchange="a").row(0, named=True)
    assert row["value"] == pytest.approx(row["others"]) == pytest.approx(0.0002 * 1095)


def test_who_settles_at_odd_hours_by_right_has_a_blemish_only():
    settled, premiums = market()
    later = wrong(settled, "a", TIME + 5 * HOUR)
    assert verdicts(later, premiums.clear())["a"][0] == "B"
    moved = wrong(premiums, "a", TIME + 5 * HOUR)
    assert verdicts(later, moved)["a"][0] == "B"


def test_a_market_that_left_is_silent_and_a_hole_is_a_blemish():
    settled, premiums = market()
    gone = settled.filter((pl.col("exchange") != "b") | (TIME < START + 20 * 24 * HOUR))
    assert "silent" in verdicts(gone, premiums)["b"][1]
    hole = TIME.is_between(START + 40 * HOUR, START + 100 * HOUR)
    holed = settled.filter((pl.col("exchange") != "b") | ~hole)
    assert verdicts(holed, premiums)["b"] == ("B", "reported 91% of the month")


def test_one_market_alone_is_held_against_its_own_marks():
    settled, premiums = market()
    alone = settled.filter(exchange="a")
    assert verdicts(alone, premiums) == {"a": ("A", "")}
    assert verdicts(alone.with_columns(-RATE), premiums)["a"][0] == "D"
    row = funding_grades(alone, premiums).row(0, named=True)
    assert row["others"] is row["z"] is None
    assert verdicts(alone.with_columns(-RATE), premiums.clear()) == {"a": ("A", "")}


def test_nothing_and_a_single_settlement_have_no_grade():
    settled, premiums = market(days=1)
    assert funding_grades(settled.clear(), premiums).is_empty()
    assert funding_grades(settled.filter(exchange="a").head(1), premiums).is_empty()


@given(st.integers(0, 500), st.permutations(list(INTERVALS)), st.sampled_from(sorted(PLANTED)))
@settings(max_examples=8)
def test_neither_the_order_nor_the_names_of_exchanges_matter(seed, names, fault):
    settled, premiums = market(seed)
    settled = wrong(settled, "b", PLANTED[fault][0])
    renamed = dict(zip(INTERVALS, names, strict=True))
    again = verdicts(
        settled.with_columns(pl.col("exchange").replace(renamed)).sort("rate"),
        premiums.with_columns(pl.col("exchange").replace(renamed)),
    )
    assert {renamed[name]: told for name, told in verdicts(settled, premiums).items()} == again


def test_the_premium_of_an_hour_is_the_mean_of_its_marks():
    # Marks of 101 and 103 over an index of 100, within the hour that ends at one: 2 %.
    times = [START + timedelta(minutes=m) for m in (0, 10, 60, 61)]
    marks = pl.DataFrame(
        {
            "time": times,
            "exchange": "a",
            "symbol": BTC,
            "mark_price": [200.0, 101.0, 103.0, None],
            "index_price": 100.0,
        }
    ).with_columns(TIME.cast(pl.Datetime("us", "UTC")))
    found = hourly_premium(marks).select("time", "premium").rows()
    assert found == [(START, pytest.approx(1.0)), (START + HOUR, pytest.approx(0.02))]
