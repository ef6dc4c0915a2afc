"""What each baseline knows, on bars small enough to see it."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from fakes.swept import LIQUIDATIONS, market
from plimsoll.analytics.cells import trial
from plimsoll.analytics.inventory import Inventory, Parameters
from plimsoll.analytics.inventory_state import OPEN_INTEREST
from plimsoll.validation import baselines
from plimsoll.validation.baselines import BASELINES, HELD, MAP, PRIOR, TWINS, exposures

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
STEP = 0.002
PARAMETERS = Parameters(
    step=STEP, maintenance=0.005, leverage=(5, 10, 25), weights=(0.5, 0.25, 0.25)
)
BANDS = (0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2)


def at(row):
    return math.exp((row + 0.5) * STEP)


def made(rows, every=timedelta(hours=1), volume=500.0, interest=1_000.0, parameters=PARAMETERS):
    """A trial of bars whose open, high, low and close stand in buckets; 2,300 is about 99."""
    prices = np.exp((np.array(rows) + 0.5) * STEP)
    frame = pl.DataFrame(
        {
            "time": [BEGIN + bar * every for bar in range(len(rows))],
            **{name: prices[:, n] for n, name in enumerate(("open", "high", "low", "close"))},
            "volume": volume,
            "taker_buy": 250.0,
            "open_interest": interest,
            "open_interest_usd": None,
        },
        schema_overrides={"time": pl.Datetime("us", "UTC"), "open_interest": pl.Float64},
    )
    return trial(frame, LIQUIDATIONS.to_frame(), parameters, unit=10.0)


def column(subject, name, bar, side, row, tried=0):
    """The exposures of one cell, without the background."""
    (where,) = np.flatnonzero((subject.cells == [bar, side, row]).all(axis=1))
    return exposures(subject)[name][tried][where, :-1].tolist()


FLAT = (2300, 2300, 2300, 2300)


def banded(distance):
    """A one in the band of a distance; below zero is the first."""
    wanted = np.zeros(13)
    wanted[0 if distance < 0 else 1 + sum(distance > edge for edge in BANDS)] = 1
    return wanted.tolist()


def test_every_forecast_is_there_with_the_covered_range_last():
    subject = made([FLAT, (2300, 2302, 2290, 2295)])
    found = exposures(subject)
    assert set(found) == {MAP, PRIOR, *HELD, *BASELINES}
    assert len(found[MAP]) == 32
    assert [len(found[twin]) for twin in TWINS] == [8, 8]
    for tried in found.values():
        for columns in tried:
            assert columns.shape[0] == len(subject.cells)
            assert columns[:, -1] == pytest.approx(subject.background())
            assert np.isfinite(columns).all()
            assert (columns >= 0).all()
    assert found["covered range"][0].shape[1] == 1


def test_the_constant_rate_gives_each_bar_and_side_one():
    subject = made([FLAT, (2300, 2302, 2290, 2295)])
    found = exposures(subject)["constant rate"][0][:, 0]
    assert found == pytest.approx(np.where(subject.cells[:, 1] == 0, 1 / 10, 1 / 2))


def test_drawdown_is_the_distance_from_the_extremes_of_a_day_and_a_week_before():
    # Eight days of bars: the week's high is in the first, which a day later is no longer the day's.
    rows = [(2300, 2340, 2250, 2300)] + [FLAT] * 30 + [(2300, 2305, 2280, 2290)]
    subject = made(rows)
    day, week = (at(2300), at(2340))
    cell = at(2285)
    wanted = banded(math.log(day / cell)) + banded(math.log(week / cell))
    assert column(subject, "drawdown", 31, 0, 2285) == wanted
    cell = at(2304)
    wanted = banded(math.log(cell / at(2300))) + banded(math.log(cell / at(2250)))
    assert column(subject, "drawdown", 31, 1, 2304) == wanted


def test_the_bar_itself_and_a_first_bar_know_no_extreme():
    subject = made([(2300, 2305, 2280, 2290), (2290, 2290, 2289, 2290)])
    assert column(subject, "drawdown", 0, 0, 2285) == banded(-1.0) * 2
    wanted = banded(math.log(at(2305) / at(2289))) * 2
    assert column(subject, "drawdown", 1, 0, 2289) == wanted


def test_distance_only_is_from_the_mean_of_eight_and_of_seventy_two_hours():
    closes = [2300] * 4 + [2310] * 8
    rows = [(row, row, row, row) for row in closes] + [(2310, 2310, 2290, 2300)]
    subject = made(rows)
    short, long = at(2310), (4 * at(2300) + 8 * at(2310)) / 12
    cell = at(2297)
    wanted = banded(math.log(short / cell)) + banded(math.log(long / cell))
    assert column(subject, "distance only", 12, 0, 2297) == wanted


def test_swings_are_just_beyond_the_days_extreme_and_rounds_beside_round_numbers():
    rows = [(2300, 2302, 2298.3, 2300), (2300, 2301, 2290, 2295)]
    subject = made(rows)
    beyond = {row: column(subject, "swings and rounds", 1, 0, row)[0] for row in range(2290, 2300)}
    # Middles up to 0.4 % below the low, which stands 0.06 % above the middle of its bucket.
    assert beyond == {row: float(row in {2297, 2298}) for row in range(2290, 2300)}
    for row in range(2290, 2300):
        price = at(row)
        near = min(abs(math.log(whole / price)) for whole in range(90, 110)) < 0.001
        assert column(subject, "swings and rounds", 1, 0, row)[1] == float(near)


def test_the_volume_profile_is_shifted_by_one_leverage():
    # 700 coins trade at 2300. Longs of 25 opened there are liquidated at 0.96 / 0.995, shorts at
    # 1.04 / 1.005 of it.
    volume = pl.Series([700.0, 500.0, 500.0])
    rows = [FLAT, (2310, 2310, 2310, 2310), (2310, 2330, 2270, 2300)]
    subject = made(rows, volume=volume)
    down, up = (round(math.log(by) / STEP) for by in (0.96 / 0.995, 1.04 / 1.005))
    usd = 700 * at(2310) / 10  # in orders at the bar's open
    assert column(subject, "volume profile", 2, 0, 2300 + down) == pytest.approx([usd])
    assert column(subject, "volume profile", 2, 1, 2300 + up) == pytest.approx([usd])
    assert column(subject, "volume profile", 2, 0, 2305 + down) == [0]


def test_the_volume_profile_forgets_after_three_days():
    rows = [FLAT] + [(2310, 2310, 2310, 2310)] * 72 + [(2310, 2330, 2270, 2300)]
    subject = made(rows)
    down = round(math.log(0.96 / 0.995) / STEP)
    assert column(subject, "volume profile", 73, 0, 2300 + down) == [0]
    assert column(subject, "volume profile", 73, 0, 2310 + down)[0] > 0


def test_where_twenty_five_is_not_allowed_the_most_that_is_shifts_the_profile():
    parameters = Parameters(step=STEP, maintenance=0.05, leverage=(3, 10), weights=(0.5, 0.5))
    rows = [FLAT, FLAT, (2300, 2300, 2260, 2300)]
    subject = made(rows, parameters=parameters)
    down = round(math.log(0.9 / 0.95) / STEP)
    usd = 2 * 500 * at(2300) / 10
    assert column(subject, "volume profile", 2, 0, 2300 + down) == pytest.approx([usd])


def test_yesterdays_map_is_that_of_the_midnight_a_day_before():
    rows = [(2300, 2301, 2299, 2300)] * 70 + [(2300, 2300, 2230, 2240)]
    interest = pl.Series(1_000.0 + 5 * np.arange(71))
    subject = made(rows, interest=interest)
    inside = (subject.cells[:, 0] == 70) & (subject.cells[:, 1] == 0)
    found = exposures(subject)["yesterday's map"][0][inside, 0]
    # Bar 70 is of the third day: what an inventory of the first day's bars shows at its end.
    before = Inventory(PARAMETERS, interval=subject.interval, grid=subject.grid)
    before.advance(np.ascontiguousarray(subject.bars[:24]))
    shown = before.column(at(2300))[0][subject.cells[inside, 2] - subject.grid.first]
    assert found.sum() > 0
    assert found == pytest.approx(shown * at(2300) / 10)
    early = subject.cells[:, 0] < 24
    assert not exposures(subject)["yesterday's map"][0][early, 0].any()


@pytest.mark.parametrize(("name", "began"), [("map held for 4 h", 68), ("map of midnight", 48)])
def test_a_map_that_is_held_is_that_of_the_beginning(name, began):
    rows = [(2300, 2301, 2299, 2300)] * 70 + [(2300, 2300, 2230, 2240)]
    subject = made(rows, interest=pl.Series(1_000.0 + 5 * np.arange(71)))
    inside = (subject.cells[:, 0] == 70) & (subject.cells[:, 1] == 0)
    found = exposures(subject)[name][0][inside, :-1].sum(axis=1)
    # Bar 70 is of the third day and of the hours 20 to 24: what the bars before them leave.
    before = Inventory(PARAMETERS, interval=subject.interval, grid=subject.grid)
    before.advance(np.ascontiguousarray(subject.bars[:began]))
    shown = before.column(at(2300))[0][subject.cells[inside, 2] - subject.grid.first]
    assert found.sum() > 0
    assert found == pytest.approx(shown * at(2300) / 10)


def test_a_long_market_is_held_piece_by_piece(monkeypatch):
    rows = [(2300, 2301 + 40 * (t % 5 == 0), 2299 - 40 * (t % 7 == 0), 2300) for t in range(120)]
    subject = made(rows, interest=pl.Series(1_000.0 + 5 * np.arange(120)))
    whole = exposures(subject)
    monkeypatch.setattr(baselines, "_AT_ONCE", 2)
    pieces = exposures(subject)
    for name in (*HELD, "yesterday's map"):
        assert np.array_equal(whole[name][0], pieces[name][0])
        assert whole[name][0][:, :-1].any()


def test_where_nothing_closes_rises_stay_and_falls_take_nothing():
    # 100 coins open at 2300, and 100 close, evenly over all that stand.
    rows = [FLAT, FLAT, FLAT, (2300, 2300, 2170, 2180)]
    subject = made(rows, interest=pl.Series([1_000.0, 1_100.0, 1_000.0, 1_000.0]))
    found = exposures(subject)["nothing closes"][0][:, 0]
    usd = 100 * at(2300) / 10
    factors = (0.8 / 0.995, 0.9 / 0.995, 0.96 / 0.995)
    stands = {2300 + math.floor(0.5 + math.log(by) / STEP) for by in factors}
    hit = subject.cells[found > 0]
    assert set(hit[:, 2]) == {row for row in stands if row >= 2170}
    assert found[found > 0] == pytest.approx(np.full(len(hit), usd / 3))
    fitted = exposures(subject)[PRIOR][0][:, 0]
    assert 0 < fitted.sum() < found.sum()


def test_equal_weights_are_the_inventory_of_equal_weights():
    subject = made([FLAT, FLAT, (2300, 2310, 2200, 2210)], interest=pl.Series([1e3, 1.1e3, 1.1e3]))
    alike = replace(PARAMETERS, weights=(1 / 3, 1 / 3, 1 / 3))
    wanted = subject.stood(parameters=alike).sum(axis=1)
    assert wanted.any()
    assert exposures(subject)["equal weights"][0][:, 0] == pytest.approx(wanted)


def test_a_tier_without_weight_has_exposures_all_the_same():
    parameters = replace(PARAMETERS, weights=(0.5, 0.0, 0.5))
    subject = made([FLAT, FLAT, (2300, 2310, 2200, 2210)], parameters=parameters)
    for tried in exposures(subject).values():
        assert all(np.isfinite(columns).all() for columns in tried)


def test_twins_know_nothing_of_open_interest_but_where_it_began():
    subject = market(12)
    other = subject.bars.copy()
    other[1:, OPEN_INTEREST] = other[0, OPEN_INTEREST] * np.linspace(3, 0.5, len(other) - 1)
    one, two = exposures(subject), exposures(dataclasses.replace(subject, bars=other))
    for name in TWINS:
        for left, right in zip(one[name], two[name], strict=True):
            assert np.array_equal(left[:, :-1], right[:, :-1])
            assert left[:, :-1].any()
    assert not np.array_equal(one[MAP][0], two[MAP][0])


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in TWINS])
def test_cutting_off_the_future_changes_no_bit_of_the_past(name):
    subject = market(6)
    n = 90
    part = trial(
        pl.DataFrame(
            {"time": pl.Series(subject.time[:n]).cast(pl.Datetime("us", "UTC"))}
            | {
                column: subject.bars[:n, at]
                for at, column in enumerate(
                    ("open", "high", "low", "close", "volume", "taker_buy", "open_interest")
                )
            }
            | {"open_interest_usd": [None] * n}
        ),
        LIQUIDATIONS.to_frame(),
        subject.parameters,
        unit=subject.unit,
    )
    past = subject.cells[:, 0] < n
    whole, cut = exposures(subject)[name], exposures(part)[name]
    for left, right in zip(whole, cut, strict=True):
        assert np.array_equal(left[past], right)
