"""Grades of longs per short: each population by itself, changes against those of the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from plimsoll.analytics.grading_ratios import ratio_grades

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BTC = "BTC/USDT:USDT"
VENUES = ("a", "b", "c", "d")


def crowd(seed=1, days=30, population="accounts", venues=VENUES):
    """Hourly ratios: each exchange has its own level, all follow one crowd, with noise."""
    draw = np.random.default_rng(seed)
    count = days * 24
    common = draw.normal(0, 0.03, count).cumsum()
    made = []
    for number, venue in enumerate(venues):
        odds = 0.3 * number + common + draw.normal(0, 0.01, count).cumsum()
        ratio = np.exp(odds)
        names = {"exchange": venue, "symbol": BTC, "population": population}
        columns = {"ratio": ratio, "long_share": ratio / (1 + ratio)}
        made.append(
            pl.DataFrame({"time": [START + n * HOUR for n in range(count)], **names, **columns})
        )
    told = pl.concat(made).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    return told.with_columns(known_at="time")


def verdicts(ratios):
    rows = ratio_grades(ratios).select("exchange", "grade", "reasons").rows()
    return {exchange: (grade, "; ".join(reasons)) for exchange, grade, reasons in rows}


def wrong(ratios, venue, *columns, **named):
    own = ratios.filter(exchange=venue).with_columns(*columns, **named)
    return pl.concat([ratios.filter(pl.col("exchange") != venue), own])


RATIO, SHARE = pl.col("ratio"), pl.col("long_share")
BOTH, NONE = pl.col("ratio", "long_share"), pl.lit(None, pl.Float64)
PLANTED = {
    "percent": (
        [(RATIO * 100).alias("ratio"), NONE.alias("long_share")],
        "wrong unit: its ratio is",
    ),
    "one turned": ([(1 / RATIO).alias("ratio")], "contradicts itself: its ratio is"),
    "both turned": (
        [(1 / RATIO).alias("ratio"), (1 - SHARE).alias("long_share")],
        "the ratio is turned: it falls when others rise",
    ),
    "stale": ([BOTH.first()], "stale: unchanged for"),
    "two hours late": ([BOTH.shift(2)], "lagging: 120 minutes late"),
}


@pytest.mark.parametrize("seed", range(12))
def test_sound_markets_are_all_graded_a(seed):
    assert {grade for grade, _ in verdicts(crowd(seed)).values()} == {"A"}


@pytest.mark.parametrize("venue", ["a", "d"])
@pytest.mark.parametrize("fault", PLANTED)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_planted_is_named_and_nobody_else_is(seed, fault, venue):
    change, words = PLANTED[fault]
    found = verdicts(wrong(crowd(seed), venue, *change))
    grade, reasons = found.pop(venue)
    assert grade == "D"
    assert words in reasons
    assert {grade for grade, _ in found.values()} == {"A"}


def test_an_hour_late_is_named_where_hours_move_together():
    found = verdicts(wrong(crowd(), "b", BOTH.shift(1)))
    assert found["b"] == ("D", "lagging: 60 minutes late")


def test_a_day_told_each_hour_stands_still_too_long():
    daily = BOTH.first().over(pl.col("time").dt.truncate("1d"))
    grade, reasons = verdicts(wrong(crowd(), "c", daily))["c"]
    assert grade in {"C", "D"}
    assert "stale" in reasons


def test_one_population_says_nothing_of_another():
    accounts, positions = crowd(1), crowd(2, population="top_positions")
    turned = positions.with_columns(ratio=1 / RATIO, long_share=1 - SHARE)
    whole = ratio_grades(pl.concat([accounts, turned]))
    assert set(whole["grade"]) == {"A"}
    apart = pl.concat([ratio_grades(accounts), ratio_grades(turned)])
    assert whole.sort("population", "exchange").equals(apart.sort("population", "exchange"))
    # Two populations of one exchange do not stand in for two exchanges.
    one = pl.concat([crowd(venues=("a",)), turned.filter(exchange="a")])
    assert ratio_grades(one)["others"].null_count() == 2


def test_a_level_of_its_own_is_no_fault_but_one_that_none_has_is():
    assert verdicts(wrong(crowd(), "a", ratio=RATIO * 3, long_share=NONE))["a"] == ("A", "")
    alone = crowd(venues=("a",))
    assert verdicts(alone) == {"a": ("A", "")}
    assert "wrong unit" in verdicts(wrong(alone, "a", ratio=RATIO * 100, long_share=NONE))["a"][1]


def test_the_share_that_binance_prints_is_its_ratio():
    # Documentation of Binance: longAccount 0.6442 and shortAccount 0.3558 beside a ratio of 1.8105.
    told = crowd(venues=("a",)).with_columns(long_share=pl.lit(0.6442), ratio=pl.lit(1.8105))
    row = ratio_grades(told).row(0, named=True)
    assert (row["grade"], row["value"]) == ("A", pytest.approx(1.8105))


def test_a_market_that_left_is_silent_and_a_share_alone_is_enough():
    ratios = crowd()
    gone = ratios.filter((pl.col("exchange") != "d") | (pl.col("time") < START + 20 * 24 * HOUR))
    assert "silent" in verdicts(gone)["d"][1]
    assert verdicts(ratios.with_columns(ratio=NONE)) == verdicts(ratios)
    assert ratio_grades(ratios.clear()).is_empty()


def test_the_last_change_of_a_day_has_its_deviation():
    ratios = crowd()
    late = pl.col("time") == pl.col("time").max()
    moved = pl.when(late).then(RATIO * 2).otherwise(RATIO).alias("ratio")
    z = dict(
        ratio_grades(wrong(ratios, "a", moved, long_share=NONE)).select("exchange", "z").rows()
    )
    assert abs(z["a"]) > 5 > abs(z["b"])
