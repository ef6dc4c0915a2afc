"""The inventory: two engines that must agree, laws that must hold, and cases worked by hand."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plimsoll.analytics.inventory import Grid, Inventory, Parameters, matrix
from plimsoll.analytics.inventory_laws import on_arrival
from plimsoll.analytics.inventory_numpy import replay

HOUR = timedelta(hours=1)
LONG, SHORT = 0, 1
START = 43_210.987
WIDE = Grid.covering(START / 12, START * 12, 0.001)
HUNDRED = Grid.covering(20, 500, 0.001)
STILL = {"ages": (1e9,), "closing": (1.0, 1.0)}  # nobody ages, all close alike

several = settings(max_examples=40)


@st.composite
def bars(draw, unknown=True, least=2, most=40):
    """Random bars as an array; at most 5 % from one close to the next."""
    n = draw(st.integers(least, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    wild = draw(st.sampled_from([1e-4, 2e-3, 1e-2]))
    close = START * np.exp(np.cumsum(np.clip(random.normal(0, wild, n), -0.05, 0.05)))
    open_ = np.append(START, close[:-1]) * np.exp(random.normal(0, wild / 10, n))
    high = np.maximum(open_, close) * np.exp(random.exponential(wild, n))
    low = np.minimum(open_, close) * np.exp(-random.exponential(wild, n))
    volume = random.exponential(draw(st.sampled_from([0.0, 30.0, 3_000.0])), n)
    taker_buy = volume * random.uniform(size=n)
    interest = 1_000 * np.exp(np.cumsum(random.normal(0, draw(st.sampled_from([0.01, 0.3])), n)))
    array = np.stack([open_, high, low, close, volume, taker_buy, interest], axis=1)
    if unknown:
        array[random.uniform(size=n) < 0.1, :4] = np.nan
        for column in (4, 5, 6):
            array[random.uniform(size=n) < 0.15, column] = np.nan
    return np.ascontiguousarray(array)


@st.composite
def mixes(draw, tiers=8):
    raw = draw(st.lists(st.floats(0.01, 1), min_size=tiers, max_size=tiers))
    return tuple(one / math.fsum(raw) for one in raw)


ratios = st.lists(st.floats(0.05, 8), min_size=64, max_size=64).map(
    lambda raw: tuple(map(tuple, np.reshape(raw, (16, 4)).tolist()))
)
lasting = ratios.map(lambda rows: (rows[:8], rows[8:]))
parameters = st.builds(
    Parameters,
    churn=st.floats(0, 1),
    liquidatable=st.floats(0.01, 1),
    taker=st.floats(-3, 3),
    settlement=st.sampled_from(["linear", "inverse"]),
    attrition=st.sampled_from([0.0, 0.5, 1.0]),
    shorts=st.none() | mixes(),
    liquidatable_shorts=st.none() | st.floats(0.01, 1),
    lasting=st.none() | lasting,
)
intervals = st.sampled_from([timedelta(minutes=1), timedelta(minutes=5), HOUR, timedelta(days=1)])


def inventory(parameters=None, interval=HOUR, grid=WIDE):
    return Inventory(parameters or Parameters(), interval=interval, grid=grid)


def still(price, open_interest, volume=None, taker_buy=None):
    return bar(price, price, price, price, open_interest, volume, taker_buy)


def bar(open_, high, low, close, open_interest, volume=None, taker_buy=None):
    return {
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "taker_buy": taker_buy,
        "open_interest": open_interest,
    }


def run(rows, parameters, **options):
    subject = inventory(parameters, **{"grid": HUNDRED, **options})
    record = subject.update(pl.DataFrame(rows, schema_overrides=dict.fromkeys(rows[0], pl.Float64)))
    return subject, record


def same(left, right):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(left, right, strict=True))


# Two engines


@several
@given(bars(), parameters, intervals)
def test_lazy_engine_agrees_with_the_plain_one(bars, parameters, interval):
    fast = inventory(parameters, interval).advance(bars, by_tier=True, touched=True)
    plain = replay(bars, parameters, interval, WIDE)
    largest = np.nanmax(bars[:, 6], initial=1.0)
    for name, ours, theirs in zip(fast._fields, fast, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * largest, err_msg=name)


def test_engines_agree_after_thousands_of_bars():
    random = np.random.default_rng(7)
    n = 6_000
    close = START * np.exp(np.cumsum(random.normal(0, 1e-3, n)))
    open_ = np.append(START, close[:-1])
    high, low = np.maximum(open_, close) * 1.0007, np.minimum(open_, close) * 0.9993
    volume = random.exponential(50, n)
    interest = 1_000 + np.cumsum(random.normal(0, 3, n))
    rows = np.stack([open_, high, low, close, volume, volume / 3, interest], axis=1)
    grid = Grid.covering(low.min() / 1.1, high.max() * 1.1, 0.002)
    priors = Parameters(step=0.002)
    fast = inventory(priors, timedelta(minutes=5), grid).advance(rows, by_tier=True, touched=True)
    plain = replay(rows, priors, timedelta(minutes=5), grid)
    for name, ours, theirs in zip(fast._fields, fast, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-6, err_msg=name)


# Attrition


def test_positions_leave_as_the_price_comes_nearer():
    # Opened at 100 with 10x and 0.4 %: liquidated at 90.4 / 99.6 × 100 = 100 · 0.9/0.996, which is
    # ln(0.996/0.9) = 0.1013 away. At 95 the price has come ln(100/95) = 0.0513 of it, at 91 0.0943.
    tier = {"leverage": (10.0,), "weights": (1.0,), "closing": (1.0,) * 4}
    rows = [still(100.0, 1_000.0), still(100.0, 1_400.0)]
    stood = {}
    for attrition in (0.0, 1.0, 2.0):
        subject, _ = run(rows, Parameters(attrition=attrition, **tier))
        stood[attrition] = {
            price: subject.column(price)[LONG].sum() for price in (100.0, 95.0, 91.0)
        }
        assert subject.standing(91.0)[LONG].sum() == pytest.approx(stood[attrition][91.0])
        assert subject.placed.tolist() == [200.0, 200.0]
    assert stood[0.0] == pytest.approx(dict.fromkeys(stood[0.0], 200.0))
    for price, come in ((95.0, 0.0513), (91.0, 0.0943)):
        for kappa in (1.0, 2.0):
            wanted = 200.0 * (1 + come / 0.01) ** -kappa
            assert stood[kappa][price] == pytest.approx(wanted, rel=0.03)  # a bucket is 0.001
    assert stood[1.0][100.0] == pytest.approx(200.0, rel=0.1)


def test_predicted_liquidations_are_those_that_stayed():
    # Of 100 of 10x, 1/11.13 are left when the price has come ln(0.996/0.9); the rest was closed on
    # the way. All are gone: of 0.5 · (400 + 0.2 · 200 / 2) = 210 closed, 110 are of the 100 of 5x
    # and the 500 unplaced, and 10 are opened.
    priors = Parameters(attrition=1.0, leverage=(5.0, 10.0), weights=(0.5, 0.5), closing=(1.0,) * 4)
    rows = [still(100.0, 1_000.0), still(100.0, 1_400.0), still(90.0, 1_000.0, volume=600.0)]
    _, record = run(rows, priors)
    assert record.crossed[2, LONG] == pytest.approx([0, 100 / 11.13], rel=1e-3)
    assert record.closed[2, LONG] == pytest.approx(210)
    assert record.placed[2, LONG] == pytest.approx(100 * (1 - 110 / 600) + 10)


@several
@given(bars(unknown=False), parameters, intervals)
def test_what_is_liquidated_was_shown_where_the_price_came(bars, parameters, interval):
    record = inventory(parameters, interval).advance(bars, touched=True)
    shown = np.zeros_like(record.crossed)
    np.add.at(shown, (record.cells[:, 0], record.cells[:, 1]), record.touched)
    atol = 1e-9 * bars[:, 6].max()
    np.testing.assert_allclose(record.crossed, shown, rtol=1e-9, atol=atol)


def test_on_arrival_the_farthest_are_fewest():
    # 1 + ln(0.996/0.9)/0.01 = 11.13 for 10x, 1 + ln(0.996/0.98)/0.01 = 2.62 for 50x.
    few = Parameters(leverage=(10.0, 50.0), weights=(0.5, 0.5), attrition=1.0)
    assert on_arrival(few)[LONG] == pytest.approx([1 / 11.13, 1 / 2.62], rel=1e-3)
    assert (on_arrival(Parameters()) == 1).all()


# Sides and ages


@several
@given(bars(), parameters, intervals, st.integers(1, 7))
def test_sides_never_mix(bars, parameters, interval, tiers):
    many = (1 / tiers,) * tiers
    few = (1 / (8 - tiers),) * (8 - tiers)
    longs, shorts = many + (0.0,) * (8 - tiers), (0.0,) * tiers + few
    chosen = replace(parameters, weights=longs, shorts=shorts)
    record = inventory(chosen, interval).advance(bars, by_tier=True, touched=True)
    for side, others in ((LONG, slice(tiers, None)), (SHORT, slice(tiers))):
        assert not np.nan_to_num(record.tiers[:, side, others]).any()
        assert not record.crossed[:, side, others].any()
        assert not record.touched[record.cells[:, 1] == side, others].any()
    # What shorts do changes no bit of the longs'.
    other = inventory(replace(chosen, shorts=longs), interval).advance(bars)
    assert np.array_equal(record.columns[:, LONG], other.columns[:, LONG], equal_nan=True)


@several
@given(bars(), parameters, intervals)
def test_both_sides_alike_are_one_mix(bars, parameters, interval):
    one = replace(parameters, shorts=None, liquidatable_shorts=None)
    two = replace(one, shorts=one.weights, liquidatable_shorts=one.liquidatable)
    records = [inventory(chosen, interval).advance(bars) for chosen in (one, two)]
    assert same(*records)


def test_tiers_that_last_longer_take_from_the_others():
    # Of 400 opened 200 can be liquidated, 100 in each tier. Three times as many of the second last:
    # 200 · 1 · 100 / (1 · 100 + 3 · 100) = 50 and 150; of shorts 4 · 100 / 500 · 200 = 160 and 40.
    ratios = (((1.0,) * 4, (3.0,) * 4), ((4.0,) * 4, (1.0,) * 4))
    priors = Parameters(leverage=(5, 10), weights=(0.5, 0.5), lasting=ratios)
    subject, _ = run([still(100.0, 1_000.0), still(100.0, 1_400.0)], priors)
    shown = subject.standing(100.0).sum(axis=(2, 3))
    np.testing.assert_allclose(shown, [[50, 150], [160, 40]])
    column = subject.column(100.0)
    np.testing.assert_allclose(column[LONG][column[LONG] > 0], [50, 150])
    np.testing.assert_allclose(column[SHORT][column[SHORT] > 0], [40, 160])
    assert subject.placed.tolist() == [200.0, 200.0]


@several
@given(bars(), parameters, intervals)
def test_each_side_and_class_keeps_its_total(bars, parameters, interval):
    subject = inventory(replace(parameters, attrition=0.0), interval)
    subject.advance(bars)
    shown = subject.standing(START).sum(axis=(1, 3))
    atol = 1e-9 * np.nanmax(bars[:, 6], initial=1.0)
    np.testing.assert_allclose(shown, subject.by_age, rtol=1e-9, atol=atol)


@several
@given(bars(), parameters, intervals, st.floats(0.1, 10))
def test_tiers_that_all_last_alike_change_nothing(bars, parameters, interval, ratio):
    alike = (((ratio,) * 4,) * 8,) * 2
    here = inventory(replace(parameters, lasting=alike), interval).advance(bars)
    there = inventory(replace(parameters, lasting=None), interval).advance(bars)
    atol = 1e-9 * np.nanmax(bars[:, 6], initial=1.0)
    np.testing.assert_allclose(here.columns, there.columns, rtol=1e-9, atol=atol)


# Laws


@several
@given(bars(), parameters, intervals)
def test_each_side_totals_the_liquidatable_open_interest(bars, parameters, interval):
    record = inventory(parameters, interval).advance(bars)
    whole = ~np.isnan(bars).any(axis=1) | ~np.isnan(bars[:, [0, 1, 2, 3, 6]]).any(axis=1)
    for side in (LONG, SHORT):
        total = record.placed[whole, side] + record.unplaced[whole, side]
        most = parameters.reachable[side] * bars[whole, 6]
        np.testing.assert_allclose(total, most, rtol=1e-9)


@several
@given(bars(), parameters, intervals)
def test_column_never_exceeds_the_liquidatable_open_interest(bars, parameters, interval):
    record = inventory(parameters, interval).advance(bars)
    known = ~np.isnan(record.open_interest)
    assert np.array_equal(known, ~np.isnan(record.columns).any(axis=(1, 2)))
    most = parameters.reachable * record.open_interest[known, None]
    assert (record.columns[known] >= 0).all()
    assert (record.columns[known].sum(axis=2) <= most * (1 + 1e-9)).all()
    assert (record.coverage[known] <= 1).all()


@several
@given(bars(), parameters, intervals)
def test_no_position_stands_where_the_price_already_is(bars, parameters, interval):
    record = inventory(parameters, interval).advance(bars)
    low, high = WIDE.edges[:-1], WIDE.edges[1:]
    for price, (longs, shorts) in zip(bars[:, 0], record.columns, strict=True):
        assert not (longs[high > price * (1 + 1e-12)] > 0).any()
        assert not (shorts[low < price * (1 - 1e-12)] > 0).any()


@several
@given(bars(), parameters, intervals)
def test_more_is_never_crossed_than_stood(bars, parameters, interval):
    record = inventory(parameters, interval).advance(bars)
    crossed = record.crossed.sum(axis=2)
    before = np.vstack([np.zeros((1, 2)), record.placed[:-1]])
    assert (record.crossed >= 0).all()
    assert (crossed <= before * (1 + 1e-9) + 1e-9).all()


@several
@given(bars(unknown=False), parameters)
def test_flows_obey_the_identities(bars, parameters):
    record = inventory(parameters).advance(bars)
    change = np.diff(bars[:, 6])[:, None]
    opened, closed = (flow[1:] / parameters.reachable for flow in (record.opened, record.closed))
    atol = 1e-9 * bars[:, 6].max() / min(parameters.reachable)
    np.testing.assert_allclose(opened - closed, np.repeat(change, 2, axis=1), atol=atol)
    np.testing.assert_allclose(
        opened[:, LONG] + closed[:, SHORT], opened[:, SHORT] + closed[:, LONG], atol=atol
    )
    assert (opened >= 0).all()
    assert (closed >= 0).all()


@several
@given(bars(unknown=False))
def test_all_volume_is_accounted_for_when_all_churn_stays(bars):
    record = inventory(Parameters(churn=1.0, liquidatable=1.0)).advance(bars)
    volume = bars[1:, 4]
    consistent = ~record.inconsistent[1:]
    traded = (record.opened[1:, LONG] + record.closed[1:, SHORT])[consistent]
    np.testing.assert_allclose(traded, volume[consistent], rtol=1e-9, atol=1e-9)


# What must not matter


@several
@given(bars(), parameters, intervals, st.data())
def test_bars_one_by_one_give_the_same_bits_as_all_at_once(bars, parameters, interval, data):
    whole = inventory(parameters, interval).advance(bars)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(bars)), max_size=6)))
    streamed = inventory(parameters, interval)
    pieces = [streamed.advance(np.ascontiguousarray(p)) for p in np.split(bars, cuts)]
    assert same(whole, [np.concatenate(parts) for parts in zip(*pieces, strict=True)])


@several
@given(bars(), parameters, intervals, st.data())
def test_later_bars_change_no_bit_of_earlier_columns(bars, parameters, interval, data):
    n = data.draw(st.integers(1, len(bars)))
    whole = inventory(parameters, interval).advance(bars)
    part = inventory(parameters, interval).advance(np.ascontiguousarray(bars[:n]))
    assert same([field[:n] for field in whole], part)


@several
@given(bars(), parameters, intervals, st.data())
def test_own_bar_changes_no_bit_of_its_column_but_by_its_open(bars, parameters, interval, data):
    t = data.draw(st.integers(0, len(bars) - 1))
    other = bars[: t + 1].copy()
    other[t, 1:] = [np.nan] * 6
    whole = inventory(parameters, interval).advance(bars)
    part = inventory(parameters, interval).advance(other)
    assert np.array_equal(whole.columns[t], part.columns[t], equal_nan=True)


@several
@given(bars(), parameters, intervals, st.data())
def test_columns_shown_change_no_bit_of_the_rest(bars, parameters, interval, data):
    shown = np.array(data.draw(st.lists(st.booleans(), min_size=len(bars), max_size=len(bars))))
    every = inventory(parameters, interval).advance(bars)
    some = inventory(parameters, interval).advance(bars, shown=shown)
    assert np.array_equal(every.columns[shown], some.columns, equal_nan=True)
    assert np.array_equal(every.crossed, some.crossed)


@several
@given(bars(), parameters, intervals, st.floats(1, 3), st.floats(1, 3))
def test_window_changes_no_bit_inside_it(bars, parameters, interval, below, above):
    prices = bars[:, :4][~np.isnan(bars[:, :4])]
    low, high = min(prices, default=START), max(prices, default=START)
    narrow = Grid.covering(low / below, high * above, 0.001)
    part = inventory(parameters, interval, narrow).advance(bars)
    whole = inventory(parameters, interval).advance(bars, view=narrow)
    assert same(part, whole)


@several
@given(bars(), parameters, st.integers(-900, 900))
def test_map_moves_with_the_scale_of_prices(bars, parameters, buckets):
    scaled = bars.copy()
    scaled[:, :4] *= math.exp(buckets * 0.001)
    here = inventory(parameters).advance(bars)
    there = inventory(parameters).advance(scaled)
    np.testing.assert_allclose(
        np.roll(here.columns, buckets, axis=2), there.columns, rtol=1e-6, atol=1e-6
    )


@several
@given(bars(), parameters)
def test_inverse_contract_is_the_linear_one_seen_in_a_mirror(bars, parameters):
    """A long in dollars per coin is a short in coins per dollar, margin and all."""
    edge = round(2 * math.log(START) / 0.001)
    mirrored = bars.copy()
    mirrored[:, :4] = math.exp(edge * 0.001) / bars[:, [0, 2, 1, 3]]
    mirrored[:, 5] = bars[:, 4] - bars[:, 5]
    other = "inverse" if parameters.settlement == "linear" else "linear"
    priors = {name: getattr(parameters, name) for name in ("churn", "taker", "attrition")}
    priors["weights"] = parameters.shorts or parameters.weights
    priors["shorts"] = parameters.weights
    priors["liquidatable"], priors["liquidatable_shorts"] = parameters.reachable[::-1]
    priors["lasting"] = parameters.lasting and parameters.lasting[::-1]
    grid = Grid(0.001, edge - WIDE.first - WIDE.rows, WIDE.rows)
    here = inventory(parameters).advance(bars)
    there = inventory(Parameters(settlement=other, **priors), grid=grid).advance(mirrored)
    np.testing.assert_allclose(here.crossed[:, ::-1], there.crossed, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(here.columns[:, ::-1, ::-1], there.columns, rtol=1e-6, atol=1e-6)


@several
@given(bars(unknown=False, least=3), st.data())
def test_bar_whose_open_interest_is_unknown_joins_the_next(bars, data):
    t = data.draw(st.integers(1, len(bars) - 2))
    halves = bars.copy()
    halves[t, 6] = np.nan
    joined = np.delete(bars, t, axis=0)
    joined[t] = [
        bars[t, 0],
        bars[t : t + 2, 1].max(),
        bars[t : t + 2, 2].min(),
        bars[t + 1, 3],
        *bars[t : t + 2, 4:6].sum(axis=0),
        bars[t + 1, 6],
    ]
    one, two = inventory(Parameters(**STILL)), inventory(Parameters(**STILL))
    first, second = one.advance(joined), two.advance(halves)
    assert np.isnan(second.columns[t + 1]).all()
    np.testing.assert_allclose(first.placed[-1], second.placed[-1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.cells.sum(axis=2), two.cells.sum(axis=2), rtol=1e-9, atol=1e-9)


# Cases worked by hand


def test_flows_are_those_of_the_worked_example():
    """V = 100, change -20, and 30 longs opened: 70 shorts closed, 50 longs closed, 50 opened."""
    taker = math.log(0.375 / 0.625)  # longs take 30 of the 80 that are churned
    priors = Parameters(churn=1.0, liquidatable=1.0, taker=taker)
    _, record = run([still(100, 1_000), still(100, 980, volume=100, taker_buy=100)], priors)
    assert record.opened[1] == pytest.approx([30, 50])
    assert record.closed[1] == pytest.approx([50, 70])


def test_without_volume_only_the_change_of_open_interest_flows():
    _, record = run([still(100, 1_000), still(100, 1_100), still(100, 1_040)], Parameters())
    assert record.opened[1:].tolist() == [[50, 50], [0, 0]]
    assert record.closed[1:] == pytest.approx(np.array([[0, 0], [30, 30]]))


def test_open_interest_that_outgrows_its_volume_is_counted_inconsistent():
    rows = [still(100, 1_000), still(100, 1_100, 99.0), still(100, 1_000, 100.0), still(100, 990)]
    _, record = run(rows, Parameters())
    assert record.inconsistent.tolist() == [False, True, False, False]


def test_first_open_interest_has_no_known_entry():
    subject, record = run([still(100, 1_000)], Parameters(liquidatable=0.4))
    assert np.isnan(record.columns[0]).all()
    assert subject.unplaced.tolist() == [400, 400]
    assert not subject.column(100.0).any()


def test_tenfold_longs_entered_at_100_stand_at_90_point_36():
    """100 (1 - 1/10) / (1 - 0.004) = 90.361; shorts at 100 (1 + 1/10) / (1 + 0.004) = 109.562."""
    priors = Parameters(leverage=(10,), weights=(1,))
    subject, _ = run([still(100, 1_000), still(100, 1_400, 400)], priors)
    longs, shorts = subject.column(100.0)
    for side, price in ((longs, 90.3614), (shorts, 109.5618)):
        (row,) = np.flatnonzero(side)
        assert HUNDRED.edges[row] <= price < HUNDRED.edges[row + 1]
        assert side[row] == pytest.approx(200)


def test_entries_spread_evenly_in_log_price_over_the_range():
    """A bar from 100 to 100 e^0.01 with tenfold longs: ten buckets' worth, a tenth in each."""
    priors = Parameters(leverage=(10,), weights=(1,), liquidatable=1.0)
    top = 100 * math.exp(0.01)
    subject, _ = run([still(100, 0.0), bar(100, top, 100, 100, 100.0)], priors)
    longs = subject.column(100.0)[LONG]
    reached = np.flatnonzero(longs)
    assert len(reached) == 11  # the ends share a bucket's worth
    assert longs[reached[1:-1]] == pytest.approx(np.full(9, 10.0))
    assert longs.sum() == pytest.approx(100)


def test_fall_through_a_level_takes_exactly_what_stood_there():
    priors = Parameters(leverage=(2, 10), weights=(0.25, 0.75), **STILL)
    rows = [still(100, 1_000), still(100, 1_400), bar(100, 100, 90.36, 90.36, 1_400)]
    subject, record = run(rows, priors)
    assert record.crossed[:2].sum() == 0
    assert record.crossed[2].tolist() == [[0, pytest.approx(150)], [0, 0]]
    assert subject.placed == pytest.approx([50, 200])


def test_price_that_stops_a_bucket_short_takes_nothing():
    priors = Parameters(leverage=(10,), weights=(1,))
    rows = [still(100, 1_000), still(100, 1_400), bar(100, 100, 90.5, 95, 1_400)]
    _, record = run(rows, priors)
    assert record.crossed.sum() == 0


def test_liquidation_is_not_closed_a_second_time():
    """150 crossed but only 50 closed: the closings are liquidations, the rest stands."""
    priors = Parameters(leverage=(2, 10), weights=(0.25, 0.75), **STILL)
    rows = [still(100, 1_000), still(100, 1_400), bar(100, 100, 90, 90, 1_300)]
    subject, record = run(rows, priors)
    assert record.closed[2, LONG] == pytest.approx(50)
    assert subject.placed[LONG] == pytest.approx(50)
    assert subject.unplaced[LONG] == pytest.approx(650 - 50)


def test_closings_beyond_those_crossed_fall_on_all_by_mass():
    """200 closed, 150 crossed: 50 are left for 50 placed and 500 unplaced, an eleventh of each."""
    priors = Parameters(leverage=(2, 10), weights=(0.25, 0.75), **STILL)
    rows = [still(100, 1_000), still(100, 1_400), bar(100, 100, 90, 90, 1_000)]
    subject, _ = run(rows, priors)
    assert subject.placed[LONG] == pytest.approx(50 * 10 / 11)
    assert subject.unplaced[LONG] == pytest.approx(500 * 10 / 11)


def test_what_a_class_cannot_give_the_others_close():
    """Of 300 closings the 200 young could be asked for all; the 500 unplaced give the rest."""
    priors = Parameters(ages=(1e9,), closing=(1.0, 1e-3))
    subject, _ = run([still(100, 1_000), still(100, 1_400), still(100, 800)], priors)
    assert subject.placed == pytest.approx([0, 0], abs=1e-6)
    assert subject.unplaced == pytest.approx([400, 400])


def test_readier_classes_close_first():
    """Readiness 1 to 0.1 on 200 placed and 500 unplaced: 25 closings fall 20 to 5."""
    priors = Parameters(ages=(1e9,), closing=(1.0, 0.1))
    subject, _ = run([still(100, 1_000), still(100, 1_400), still(100, 1_350)], priors)
    assert subject.placed == pytest.approx([180, 180])
    assert subject.unplaced == pytest.approx([495, 495])


def test_ages_follow_the_binomial_law_of_equal_widths():
    """With 1 h widths and 1 h bars a step is taken with probability 1 - 1/e."""
    priors = Parameters(ages=(1.0, 2.0), closing=(1.0, 1.0, 1.0), liquidatable=1.0)
    subject, _ = run([still(100, 0.0), *[still(100, 100.0)] * 6], priors)
    stay, n = math.exp(-1), 5
    young, next_ = stay**n, n * (1 - stay) * stay ** (n - 1)
    assert subject.by_age[LONG] == pytest.approx(
        [100 * young, 100 * next_, 100 * (1 - young - next_)]
    )


def test_more_known_than_can_stand_is_scaled_down():
    """Nothing is unplaced and 150 of 400 were swept unseen: what is left shrinks to the total."""
    priors = Parameters(leverage=(2, 10), weights=(0.25, 0.75), liquidatable=1.0, **STILL)
    rows = [still(100, 0.0), still(100, 400), still(100, None, None), still(100, 100)]
    subject, record = run(rows, priors)
    assert np.isnan(record.columns[3]).all()
    assert subject.placed == pytest.approx([100, 100])
    assert subject.unplaced == pytest.approx([0, 0])
    assert subject.cells.sum(axis=(2, 3)) == pytest.approx(np.array([[25, 75], [25, 75]]))


def test_position_liquidated_within_its_bar_never_stood():
    """Hundredfold longs entered from 99 to 100 are gone when the bar closes at 90."""
    priors = Parameters(leverage=(100,), weights=(1,))
    subject, _ = run([still(100, 1_000), bar(100, 100, 90, 90, 1_400)], priors)
    assert subject.placed[LONG] < 0.05 * subject.placed[SHORT]
    assert subject.placed[LONG] + subject.unplaced[LONG] == pytest.approx(700)


def test_unknown_price_crosses_nothing_and_shows_nothing():
    priors = Parameters(leverage=(10,), weights=(1,))
    rows = [still(100, 1_000), still(100, 1_400), still(None, 1_400), still(50, 1_400)]
    subject, record = run(rows, priors)
    assert np.isnan(record.columns[2:]).all()
    assert record.crossed[:3].sum() == 0
    assert record.crossed[3, LONG] == pytest.approx(200)
    assert subject.placed[LONG] == pytest.approx(0)


def test_mass_outside_the_window_is_kept_and_counted_as_beyond():
    priors = Parameters(leverage=(2, 10), weights=(0.25, 0.75))
    subject, _ = run(
        [still(100, 1_000), still(100, 1_400)], priors, grid=Grid.covering(85, 115, 0.001)
    )
    assert subject.placed == pytest.approx([200, 200])
    assert subject.beyond == pytest.approx([50, 50])


def test_hole_of_days_then_a_deposit_keeps_its_digits():
    """A thousand daily bars without open interest shrink every young class to nothing."""
    priors = Parameters(leverage=(10,), weights=(1,), liquidatable=1.0)
    hole = [still(100, None)] * 1_000
    rows = [still(100, 0.0), still(100, 50.0), *hole, still(100, 80.0)]
    subject, _ = run(rows, priors, interval=timedelta(days=1))
    assert subject.by_age[LONG] == pytest.approx([30, 0, 0, 50])


# The door


def test_price_beyond_the_window_is_refused_and_nothing_moves():
    subject = inventory(grid=Grid.covering(90, 110, 0.001))
    subject.update(pl.DataFrame([still(100.0, 1_000.0, 10.0, 5.0)]))
    with pytest.raises(ValueError, match="wider"):
        subject.update(pl.DataFrame([bar(100.0, 111.0, 100.0, 100.0, 1.0, 10.0, 5.0)]))
    assert subject.unplaced.tolist() == [500, 500]


@pytest.mark.parametrize(
    "broken",
    [
        {"high": 99.0},
        {"low": 101.0},
        {"open": -1.0},
        {"close": math.inf},
        {"volume": -1.0},
        {"open_interest": -1.0},
        {"taker_buy": math.inf},
    ],
)
def test_impossible_bar_is_refused_by_number(broken):
    good = still(100.0, 1_000.0, 10.0, 5.0)
    with pytest.raises(ValueError, match="bar 1 cannot be"):
        matrix(pl.DataFrame([good, good | broken]))


def test_missing_column_is_named():
    with pytest.raises(ValueError, match="missing: taker_buy"):
        matrix(pl.DataFrame([still(100.0, 1.0, 1.0, 1.0)]).drop("taker_buy"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": (1.0,)}, "one weight for each"),
        ({"leverage": (10, 5), "weights": (0.5, 0.5)}, "rise"),
        ({"leverage": (5, 10), "weights": (0.5, 0.4)}, "sum to 1"),
        ({"leverage": (5, 10), "weights": (1.5, -0.5)}, "negative"),
        ({"leverage": (5, 250), "weights": (0.5, 0.5)}, "1/L > maintenance"),
        ({"leverage": (1, 10), "weights": (0.5, 0.5)}, "L > 1"),
        ({"fee": 0.01}, "maintenance"),
        ({"liquidatable": 1.1}, "liquidatable"),
        ({"churn": -0.1}, "churn"),
        ({"taker": math.nan}, "taker"),
        ({"settlement": "quanto"}, "settlement"),
        ({"step": 0.0}, "step"),
        ({"ages": (8.0, 1.0, 24.0)}, "ages"),
        ({"closing": (1.0, 0.5)}, "closing"),
        ({"shorts": (1.0,)}, "one weight for each"),
        ({"liquidatable_shorts": 1.1}, "liquidatable_shorts"),
        ({"lasting": (((1.0,) * 4,) * 8,)}, r"shape \(2, 8, 4\); got \(1, 8, 4\)"),
        ({"lasting": (((1.0,) * 4,) * 8, ((0.0,) * 4,) * 8)}, "positive"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Parameters(**wrong)


@given(st.floats(1e-8, 1e8), st.floats(1, 50), st.integers(2, 500))
def test_grid_holds_its_range_in_no_more_rows_than_asked(low, ratio, rows):
    grid = Grid.covering(low, low * ratio, 0.001, rows)
    assert grid.rows <= rows
    assert grid.edges[0] <= low * (1 + 1e-9)
    assert grid.edges[-1] >= low * ratio * (1 - 1e-9)
    assert grid.edges[1:] / grid.edges[:-1] == pytest.approx(math.exp(0.001 * grid.span))


@several
@given(bars(), parameters)
def test_coarse_rows_are_sums_of_fine_ones_but_for_the_price_s_own(bars, parameters):
    coarse = Grid(0.001, WIDE.first // 7, WIDE.rows // 7 + 2, 7)
    fine = Grid(0.001, coarse.first * 7, coarse.rows * 7)
    a = inventory(parameters).advance(bars, view=coarse).columns
    b = inventory(parameters).advance(bars, view=fine).columns
    sums = b.reshape(*a.shape, 7).sum(axis=3)
    price = bars[:, 0, None]
    own = (coarse.edges[:-1] <= price) & (price < coarse.edges[1:])
    sums[np.broadcast_to(own[:, None], sums.shape) & ~np.isnan(sums)] = 0
    np.testing.assert_allclose(a, sums, rtol=1e-12, atol=1e-12)
