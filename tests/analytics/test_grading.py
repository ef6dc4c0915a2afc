"""Grades: what is planted is named, what is sound is not accused, and nothing looks ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.consensus import graded, sound
from plimsoll.analytics.grading import grades, panel

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP, DAY = timedelta(minutes=5), timedelta(days=1)
TIME = pl.Datetime("us", "UTC")
BTC = "BTC/USDT:USDT"
VENUES = ("a", "b", "c", "d")


def market(seed=1, days=3, venues=VENUES, symbol=BTC):
    """Reports and volumes of venues of one coin: contracts of 0.001 move only when they trade."""
    draw = np.random.default_rng(seed)
    count = days * 288
    times = [START + n * STEP for n in range(count)]
    price = 50_000 * np.exp(draw.normal(0, 0.001, count).cumsum())
    reports, volumes = [], []
    for number, venue in enumerate(venues):
        volume = draw.gamma(0.5, 40_000, count).round()  # contracts
        moved = (volume * draw.uniform(-0.5, 0.5, count)).round()
        held = 10_000_000 * (number + 1) + moved.cumsum()
        names = {"exchange": venue, "symbol": symbol}
        reports.append(
            pl.DataFrame(
                {"time": times, **names, "amount": held / 1_000, "value_usd": held / 1_000 * price},
                schema_overrides={"time": TIME},
            )
        )
        volumes.append(
            pl.DataFrame(
                {"time": times, **names, "volume": volume / 1_000, "close": price},
                schema_overrides={"time": TIME},
            )
        )
    return pl.concat(reports), pl.concat(volumes)


def lots(venues=VENUES):
    return {(venue, BTC): 0.001 for venue in venues}


def verdicts(reports, volumes, sizes=None):
    held = panel(reports, volumes, STEP, timedelta(hours=2), lots() if sizes is None else sizes)
    rows = grades(held, ("open_interest",)).select("exchange", "grade", "reasons").rows()
    return {exchange: (grade, "; ".join(reasons)) for exchange, grade, reasons in rows}


def wrong(reports, venue, *columns):
    """Return reports with columns of one venue replaced."""
    own = reports.filter(exchange=venue).with_columns(*columns)
    return pl.concat([reports.filter(pl.col("exchange") != venue), own])


AMOUNT, BOTH = pl.col("amount"), pl.col("amount", "value_usd")


@pytest.mark.parametrize("seed", range(12))
def test_sound_markets_are_all_graded_a(seed):
    assert {grade for grade, _ in verdicts(*market(seed)).values()} == {"A"}


PLANTED = {
    "stale": (BOTH.first(), "stale: unchanged for"),
    "size": (AMOUNT * 1_000, "wrong unit: dollars per coin are 0.001 times the price, as the size"),
    "price": (AMOUNT * 50_000, "wrong unit: dollars per coin are 2"),
    "huge": (BOTH * 1_000, "wrong unit: moved by more than was traded"),
    "tiny": (BOTH / 1_000, "wrong unit: trades"),
    "half": (AMOUNT * 2, "wrong unit: dollars per coin are 0.5 times the price, as 1/2"),
    "double": (BOTH * 2, "counted double: every amount is an even number of contracts"),
    "late": (BOTH.shift(15), "lagging: 75 minutes late"),
}


@pytest.mark.parametrize("venue", ["a", "d"])
@pytest.mark.parametrize("fault", PLANTED)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_planted_is_named_and_nobody_else_is(seed, fault, venue):
    reports, volumes = market(seed)
    change, words = PLANTED[fault]
    found = verdicts(wrong(reports, venue, change), volumes)
    grade, reasons = found.pop(venue)
    assert grade == "D"
    assert words in reasons
    assert {grade for grade, _ in found.values()} == {"A"}


def test_open_interest_cannot_move_by_more_than_was_traded():
    # Each trade opens, closes or hands over one contract: |change| is at most the volume. Ten
    # contracts trade in a step; a change of twenty could be of two steps, one of thirty cannot be.
    times = [START + n * STEP for n in range(40)]
    held = [100.0 + 20 * (n % 2) for n in range(40)]
    names = {"exchange": "a", "symbol": BTC}
    price = {"value_usd": pl.Series(held) * 50_000.0}
    reports = pl.DataFrame({"time": times, **names, "amount": held, **price})
    traded = pl.DataFrame({"time": times, **names, "volume": 10.0, "close": 50_000.0})

    def share(rows):
        found = panel(rows.with_columns(pl.col("time").cast(TIME)), clocked, STEP, DAY)
        return grades(found, ("open_interest",))["impossible"].item()

    clocked = traded.with_columns(pl.col("time").cast(TIME))
    assert share(reports) == 0
    more = pl.when(pl.int_range(pl.len()) == 21).then(AMOUNT + 30.0).otherwise(AMOUNT)
    assert share(reports.with_columns(more)) == pytest.approx(2 / 39)  # there and back


def test_a_level_that_doubles_at_once_is_named_with_its_moment():
    reports, volumes = market()
    later = pl.col("time") >= START + 2 * DAY
    found = verdicts(
        wrong(reports, "b", pl.when(later).then(BOTH * 2).otherwise(BOTH).name.keep()), volumes, {}
    )
    grade, reasons = found.pop("b")
    assert grade == "D"
    assert "counted double: rose" in reasons
    assert "2026-01-03 00:00" in reasons
    assert {grade for grade, _ in found.values()} == {"A"}


def test_without_volumes_and_contracts_a_double_cannot_be_told():
    reports, volumes = market()
    found = verdicts(wrong(reports, "b", BOTH * 2), volumes.clear(), {})
    assert found["b"] == ("A", "")


def test_without_volumes_a_wrong_unit_still_shows_in_the_price():
    reports, volumes = market()
    found = verdicts(wrong(reports, "c", AMOUNT * 1_000), volumes.clear(), {})
    assert found["c"][0] == "D"
    assert "as 1/1000" in found["c"][1]
    assert found["a"] == ("A", "")


def test_a_venue_that_leaves_is_silent_and_out_of_the_sum():
    reports, volumes = market()
    gone = reports.filter((pl.col("exchange") != "d") | (pl.col("time") < START + DAY))
    assert verdicts(gone, volumes)["d"][0] == "D"
    assert "silent" in verdicts(gone, volumes)["d"][1]
    held = panel(gone, volumes, STEP, timedelta(hours=2), lots())
    last = sound(held, graded(held)).row(-1, named=True)
    assert (last["markets"], last["exchanges"], last["coverage"]) == (3, 3, 0.75)
    now = pl.col("time") == reports["time"].max()
    others = gone.filter(now & (pl.col("exchange") != "d"))["value_usd"].sum()
    assert last["value_usd"] == pytest.approx(others)


def test_a_hole_in_the_reports_is_a_blemish():
    reports, volumes = market()
    hole = pl.col("time").is_between(START + DAY, START + DAY + timedelta(hours=8))
    found = verdicts(reports.filter((pl.col("exchange") != "a") | ~hole), volumes)
    assert found["a"] == ("B", "reported 92% of the week")


def test_one_exchange_alone_is_only_held_against_itself():
    reports, volumes = market(venues=("a",))
    assert verdicts(reports, volumes) == {"a": ("A", "")}
    assert verdicts(wrong(reports, "a", BOTH * 1_000), volumes)["a"][0] == "D"


def test_inverse_contracts_count_dollars_so_that_a_moving_price_is_no_trade():
    reports, volumes = market(venues=("a", "b", "c"), symbol="BTC/USD:BTC")
    still = reports.with_columns(
        value_usd=pl.lit(1e9) + pl.int_range(pl.len()).over("exchange") * 100.0
    ).with_columns(amount=pl.col("value_usd") / (pl.col("value_usd") / pl.col("amount")).mean())
    own = still.filter(exchange="a").with_columns(value_usd=pl.lit(1e9))
    price = volumes.filter(exchange="a")["close"]
    own = own.with_columns(amount=pl.col("value_usd") / price)
    mixed = pl.concat([own, *(still.filter(exchange=e) for e in "bc")])
    assert "stale" in verdicts(mixed, volumes, {})["a"][1]


def test_a_price_that_stands_still_or_apart_is_named():
    reports, volumes = market()
    apart = pl.when(pl.col("exchange") == "b").then(pl.col("close") * 1.2).otherwise("close")
    held = panel(reports, volumes.with_columns(close=apart), STEP, timedelta(hours=2))
    prices = {r["exchange"]: r for r in grades(held, ("price",)).iter_rows(named=True)}
    assert prices["b"]["grade"] == "D"
    assert prices["b"]["price_ratio"] == pytest.approx(1.2)
    assert prices["a"]["grade"] == "A"
    frozen = pl.when(pl.col("exchange") == "c").then(50_000.0).otherwise("close")
    held = panel(reports, volumes.with_columns(close=frozen), STEP, timedelta(hours=2))
    (row,) = grades(held, ("price",)).filter(exchange="c").iter_rows(named=True)
    assert "stale" in row["reasons"][0]


@given(st.integers(0, 1_000), st.permutations(VENUES), st.sampled_from(sorted(PLANTED)))
@settings(max_examples=8)
def test_neither_the_order_nor_the_names_of_exchanges_matter(seed, names, fault):
    reports, volumes = market(seed, days=2)
    reports = wrong(reports, "b", PLANTED[fault][0])
    renamed = dict(zip(VENUES, names, strict=True))
    again = verdicts(
        reports.with_columns(pl.col("exchange").replace(renamed)).sort("amount"),
        volumes.with_columns(pl.col("exchange").replace(renamed)),
    )
    assert {renamed[name]: told for name, told in verdicts(reports, volumes).items()} == again


def test_another_coin_of_another_size_is_graded_alike():
    reports, volumes = market()
    reports = wrong(reports, "b", PLANTED["late"][0])
    scaled = verdicts(
        reports.with_columns(AMOUNT * 7.0),
        volumes.with_columns(pl.col("volume") * 7.0, pl.col("close") / 7.0),
        {market: 7.0 * lot for market, lot in lots().items()},
    )
    assert scaled == verdicts(reports, volumes)


@given(st.integers(0, 100), st.integers(300, 860))
@settings(max_examples=8)
def test_cutting_off_the_future_changes_no_grade_and_no_sum_before_it(seed, cut):
    reports, volumes = market(seed)
    late = pl.col("time") >= START + 1.5 * DAY
    reports = wrong(reports, "c", pl.when(late).then(BOTH * 1_000).otherwise(BOTH).name.keep())
    past = pl.col("time") <= START + cut * STEP

    def told(rows, traded):
        held = panel(rows, traded, STEP, timedelta(hours=2), lots())
        given_then = graded(held)
        return given_then, sound(held, given_then)

    whole, seen = told(reports, volumes), told(reports.filter(past), volumes.filter(past))
    for one, other in zip(whole, seen, strict=True):
        assert one.head(other.height).equals(other)


def test_the_sum_leaves_out_what_was_wrong_when_it_was_told_and_names_it():
    reports, volumes = market(days=4)
    held = panel(wrong(reports, "c", BOTH * 1_000), volumes, STEP, timedelta(hours=2), lots())
    total = sound(held, graded(held))
    early, late = total.row(10, named=True), total.row(-1, named=True)
    assert early["left_out"] == []
    assert late["left_out"] == [f"c {BTC}"]
    now = pl.col("time") == total["time"][-1]
    others = reports.filter(now & (pl.col("exchange") != "c"))["value_usd"].sum()
    assert late["value_usd"] == pytest.approx(others)
    assert late["coverage"] == 0.75


def test_nothing_has_no_grades():
    reports, volumes = market()
    held = panel(reports.clear(), volumes.clear(), STEP, timedelta(hours=2))
    assert grades(held).height == graded(held).height == sound(held, graded(held)).height == 0
