from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plimsoll.analytics.cells import trial
from plimsoll.analytics.inventory import Parameters
from plimsoll.analytics.liquidation import bankruptcy_price, distance_factor
from plimsoll.market.instrument import Brackets

STEP = 0.01
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRIOR = Parameters(step=STEP, maintenance=0.005, leverage=(5, 10), weights=(0.6, 0.4))
BARS = pl.Schema(
    {"time": pl.Datetime("us", "UTC")}
    | dict.fromkeys(
        ("open", "high", "low", "close", "volume", "taker_buy", "open_interest"), pl.Float64
    )
    | {"open_interest_usd": pl.Float64}
)
LIQUIDATIONS = pl.Schema(
    {
        "time": pl.Datetime("us", "UTC"),
        "side": pl.String,
        "price": pl.Float64,
        "price_kind": pl.String,
        "amount": pl.Float64,
        "value_usd": pl.Float64,
        "completeness": pl.String,
    }
)
NONE = LIQUIDATIONS.to_frame()
several = settings(max_examples=40, deadline=None)


def at(row):
    """The middle of a bucket."""
    return math.exp((row + 0.5) * STEP)


def bars(rows):
    """Hours; each is open, high, low, close in buckets, or None where no price is known."""
    known = [[None] * 4 if row is None else [at(bucket) for bucket in row] for row in rows]
    return pl.DataFrame(
        [
            [BEGIN + hour * HOUR, *prices, 500.0, 250.0, 1_000.0, None]
            for hour, prices in enumerate(known)
        ],
        schema=BARS,
        orient="row",
    )


def liquidation(hour, side, row, usd, **changed):
    made = {
        "time": BEGIN + (hour + 0.5) * HOUR,
        "side": side,
        "price": at(row),
        "price_kind": "fill",
        "amount": usd / at(row),
        "value_usd": usd,
        "completeness": "complete",
    }
    return made | changed


def liquidations(*rows):
    return pl.DataFrame(list(rows), schema=LIQUIDATIONS)


def cells(rows):
    return trial(bars(rows), liquidations(), PRIOR).cells.tolist()


# Which cells are touched, worked by hand: 400 is a price of about 55


def test_a_bar_touches_longs_below_its_open_and_shorts_above():
    assert cells([(400, 402, 398, 401)] * 2)[:4] == [
        [0, 0, 399],
        [0, 0, 398],
        [0, 1, 401],
        [0, 1, 402],
    ]


def test_a_gap_down_at_the_open_touches_what_lies_between():
    found = cells([(400, 400, 400, 400), (397, 398, 396, 398)])
    assert found == [[1, 0, 399], [1, 0, 398], [1, 0, 397], [1, 0, 396], [1, 1, 398]]


def test_a_gap_up_at_the_open_touches_what_lies_between():
    found = cells([(400, 400, 400, 400), (402, 403, 401, 403)])
    assert found == [[1, 0, 401], [1, 1, 401], [1, 1, 402], [1, 1, 403]]


def test_a_bar_without_a_move_touches_nothing():
    assert cells([(400, 400, 400, 400), (400, 400, 400, 400), (400, 400, 399, 400)]) == [
        [2, 0, 399]
    ]


def test_after_bars_without_a_price_only_the_open_counts():
    found = cells([(400, 400, 400, 400), None, (390, 390, 389, 390)])
    assert found == [[2, 0, 389]]


# What is counted in them


def test_a_liquidation_belongs_to_the_nearest_touched_cell_of_its_bar_and_side():
    rows = [(400, 402, 398, 400), (400, 400, 399, 399)]
    made = trial(
        bars(rows),
        liquidations(
            liquidation(0, "long", 399, 10),
            liquidation(0, "long", 380, 20),  # below the low: the lowest
            liquidation(0, "long", 405, 30),  # above the open: the nearest to it
            liquidation(0, "short", 402, 40),
            liquidation(1, "long", 399, 50),
            liquidation(1, "short", 401, 60),  # no short was touched
            liquidation(7, "long", 399, 1_000),  # after the bars
            liquidation(-1, "long", 399, 1_000),  # before them
        ),
        PRIOR,
        unit=10.0,
    )
    counted = {tuple(cell): n for cell, n in zip(made.cells.tolist(), made.orders, strict=True)}
    assert counted == {
        (0, 0, 399): 4,
        (0, 0, 398): 2,
        (0, 1, 401): 0,
        (0, 1, 402): 4,
        (1, 0, 399): 5,
    }
    assert made.outside == pytest.approx(60 / 210)
    assert made.completeness == ("complete",)


def test_the_unit_is_the_mean_of_the_liquidations_inside_the_bars():
    rows = [(400, 402, 398, 400)] * 2
    some = (liquidation(0, "long", 399, 10), liquidation(1, "short", 401, 30))
    late = liquidation(9, "long", 399, 1e6)
    assert trial(bars(rows), liquidations(*some, late), PRIOR).unit == 20


@pytest.mark.parametrize(
    ("side", "settlement"),
    [("long", "linear"), ("short", "linear"), ("long", "inverse"), ("short", "inverse")],
)
def test_a_bankruptcy_price_tells_the_price_that_triggered_it(side, settlement):
    # Entered at 44 with 4 % of maintenance and 1 % of fee: linear, bankrupt at 44 · (1 ∓ 1/9) and
    # liquidated at that over 1 ∓ 0.05; inverse, bankrupt at 44 / (1 ± 1/9), due at 1 ± 0.05 of it.
    margins = {"side": side, "settlement": settlement}
    broke = float(bankruptcy_price(44.0, 9, **margins))
    due = 44 * float(distance_factor(9, 0.04, fee=0.01, **margins))
    bucket = math.floor(math.log(due) / 0.001)
    prices = [44.0, 30.0 if side == "long" else 60.0]
    bar = dict.fromkeys(("open", "close"), prices[0]) | {"high": max(prices), "low": min(prices)}
    frame = bars([(0, 0, 0, 0)] * 2).with_columns(**{name: pl.lit(p) for name, p in bar.items()})
    event = liquidation(0, side, 0, 100.0, price=broke, price_kind="bankruptcy")
    priors = Parameters(
        step=0.001, leverage=(2,), weights=(1,), maintenance=0.04, fee=0.01, settlement=settlement
    )
    made = trial(frame, liquidations(event), priors, unit=100.0)
    assert made.cells[made.orders > 0].tolist() == [[0, int(side == "short"), bucket]]


def test_a_liquidation_of_unknown_value_is_worth_its_amount_at_its_price():
    event = liquidation(0, "long", 399, 80.0, value_usd=None)
    made = trial(bars([(400, 400, 399, 400)] * 2), liquidations(event), PRIOR)
    assert made.unit == pytest.approx(80.0)


def test_days_are_heard_from_the_first_liquidation_to_the_last():
    rows = [(400, 401, 399, 400)] * (24 * 5)
    events = [liquidation(24 * day, "long", 399, 1.0) for day in (1, 3)]
    made = trial(bars(rows), liquidations(*events), PRIOR)
    day = made.day - made.day[0]
    assert np.unique(day[made.heard(0)]).tolist() == [1, 2, 3]
    assert np.unique(day[made.heard(2)]).tolist() == [3]
    assert not made.heard(4).any()
    assert not trial(bars(rows), liquidations(), PRIOR).heard(0).any()


@st.composite
def markets(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(2, 40))
    closes = 400 + np.cumsum(rng.integers(-2, 3, n))
    opens = np.append(400, closes[:-1]) + rng.integers(-1, 2, n)
    high = np.maximum(opens, closes) + rng.integers(0, 3, n)
    low = np.minimum(opens, closes) - rng.integers(1, 3, n)
    rows = [
        None if hole else row
        for hole, *row in zip(rng.random(n) < 0.1, opens, high, low, closes, strict=True)
    ]
    rows[0] = (400, 401, 399, 400)
    events = [
        liquidation(int(hour), side, int(row), float(usd))
        for hour, side, row, usd in zip(
            rng.integers(0, n, 30),
            rng.choice(["long", "short"], 30),
            rng.integers(380, 420, 30),
            rng.integers(1, 1_000, 30),
            strict=True,
        )
    ]
    return bars(rows), events


@several
@given(markets(), st.sampled_from([1.0, 0.5, 37.0]))
def test_every_liquidation_is_counted_once_or_outside(market, unit):
    frame, events = market
    made = trial(frame, liquidations(*events), PRIOR, unit=unit)
    total = sum(event["value_usd"] for event in events)
    inside = total * (1 - made.outside)
    # Each cell is rounded by half an order at most; at a dollar an order none is.
    assert made.orders.sum() * unit == pytest.approx(inside, abs=len(events) * unit / 2 + 1e-6)
    if unit <= 1:
        assert made.orders.sum() * unit == pytest.approx(inside, abs=1e-6)


@several
@given(markets())
def test_sides_never_mix(market):
    frame, events = market
    both = trial(frame, liquidations(*events), PRIOR, unit=1.0)
    for side, name in enumerate(("long", "short")):
        alone = [event for event in events if event["side"] == name]
        one = trial(frame, liquidations(*alone), PRIOR, unit=1.0)
        mine = both.cells[:, 1] == side
        assert (one.orders[mine] == both.orders[mine]).all()
        assert not one.orders[~mine].any()


@several
@given(markets(), st.integers(-300, 300))
def test_the_scale_of_prices_only_renames_the_buckets(market, shift):
    frame, events = market
    by = math.exp(shift * STEP)
    scaled = frame.with_columns(pl.col("open", "high", "low", "close") * by)
    moved = [event | {"price": event["price"] * by} for event in events]
    here = trial(frame, liquidations(*events), PRIOR, unit=7.0)
    there = trial(scaled, liquidations(*moved), PRIOR, unit=7.0)
    assert (there.cells - here.cells == [0, 0, shift]).all()
    assert there.orders.tolist() == here.orders.tolist()
    assert there.outside == here.outside
    assert there.stood() / by == pytest.approx(here.stood(), rel=1e-6, abs=1e-6)


@several
@given(markets(), st.data())
def test_cutting_off_the_future_changes_no_bit_of_the_past(market, data):
    frame, events = market
    n = data.draw(st.integers(2, len(frame)))
    whole = trial(frame, liquidations(*events), PRIOR, unit=7.0)
    part = trial(frame[:n], liquidations(*events), PRIOR, unit=7.0)
    past = whole.cells[:, 0] < n
    for ours, theirs in (
        (whole.cells, part.cells),
        (whole.orders, part.orders),
        (whole.stood(), part.stood()),
        (whole.background(), part.background()),
    ):
        assert np.array_equal(ours[past], theirs)


# What stood


def test_the_background_is_last_known_open_interest_spread_over_forty_per_cent():
    # The first bar knows none before it; the third's is that of the first.
    frame = bars([(400, 400, 399, 400)] * 3).with_columns(
        open_interest=pl.Series([1_000.0, None, 1_000.0])
    )
    made = trial(frame, liquidations(), PRIOR, unit=2.0)
    spread = 1_000 * 0.5 * STEP / 0.40 * at(400) / 2.0
    assert made.background() == pytest.approx([0.0, spread, spread])
    assert (made.cells[:, 1] == 0).all()  # cells of longs: a part of shorts of its own is not seen
    other = trial(frame, liquidations(), replace(PRIOR, liquidatable_shorts=0.1), unit=2.0)
    assert np.array_equal(other.background(), made.background())


def test_what_stood_is_in_orders_at_the_open_of_the_bar():
    # 100 coins are opened at bucket 400; a tenfold long stands 0.1 + 0.5 % lower.
    rows = [(400, 400, 400, 400), (400, 400, 400, 400), (400, 400, 380, 380)]
    frame = bars(rows).with_columns(open_interest=pl.Series([1_000.0, 1_100.0, 1_100.0]))
    prior = Parameters(
        step=STEP, maintenance=0.005, leverage=(10,), weights=(1.0,), churn=0.0, liquidatable=1.0
    )
    made = trial(frame, liquidations(), prior, unit=50.0)
    price = at(400) * 0.9 / 0.995
    bucket = math.floor(math.log(price) / STEP)
    stood = made.stood()[:, 0]
    assert made.cells[stood > 0].tolist() == [[2, 0, bucket]]
    assert stood.sum() == pytest.approx(100 * at(400) / 50)


def test_an_inverse_contract_is_a_number_of_dollars():
    rows = [(400, 400, 400, 400), (400, 400, 400, 400), (400, 400, 380, 380)]
    frame = bars(rows).with_columns(
        open_interest_usd=pl.Series([1_000.0, 1_100.0, 1_100.0]), volume=pl.lit(1e3)
    )
    prior = Parameters(
        step=STEP,
        maintenance=0.005,
        leverage=(10,),
        weights=(1.0,),
        churn=0.0,
        liquidatable=1.0,
        settlement="inverse",
    )
    assert trial(frame, liquidations(), prior, unit=50.0).stood().sum() == pytest.approx(2.0)


# Bad input


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (bars([]), "two bars or more"),
        (bars([(400, 401, 399, 400)]), "two bars or more"),
        (bars([(400, 401, 399, 400)] * 5)[[0, 1, 3]], "none left out"),
        (bars([None, None]), "no bar of these touched a price"),
        (bars([(400, 400, 400, 400)] * 3), "no bar of these touched a price"),
    ],
)
def test_bars_of_which_nothing_can_be_scored_are_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        trial(frame, liquidations(), PRIOR)


def test_an_order_of_nothing_is_refused():
    with pytest.raises(ValueError, match="positive number of dollars"):
        trial(bars([(400, 401, 399, 400)] * 2), liquidations(), PRIOR, unit=0.0)


def test_open_interest_in_another_unit_than_the_volume_is_refused():
    interest = 1_000 + np.cumsum(np.random.default_rng(1).normal(0, 20, 60))
    frame = bars([(400, 401, 399, 400)] * 60).with_columns(open_interest=pl.Series(interest))
    assert trial(frame, liquidations(), PRIOR).unit == 1
    with pytest.raises(ValueError, match="check the contract's size"):
        trial(frame.with_columns(pl.col("open_interest") * 1_000), liquidations(), PRIOR)


def test_coins_behind_an_inverse_contract_may_change_with_the_price_alone():
    # The same dollars in every bar, at prices that move by 2 %: in coins, more than was traded.
    rows = [(400, 401, 398, 399), (399, 402, 399, 401)] * 30
    frame = bars(rows).with_columns(
        open_interest=1e6 / pl.col("close"), open_interest_usd=pl.lit(1e6), volume=pl.lit(10.0)
    )
    prior = replace(PRIOR, settlement="inverse")
    assert len(trial(frame, liquidations(), prior).cells) > 0


def test_what_wicks_of_trades_sweep_beyond_the_mark_price_is_told_apart():
    # By hand: 400 new coins at 400, half of them on either side of leverage; of the longs 10x, four
    # tenths, are liquidated about 10 rows down, where trades go and the mark price does not.
    rows = bars([(400, 400, 400, 400), (400, 400, 400, 400), (400, 400, 385, 400)])
    grown = rows.with_columns(
        open_interest=pl.Series([1_000.0, 1_400.0, 1_400.0]), volume=0.0, taker_buy=0.0
    )
    spared = grown.with_columns(mark_low=pl.lit(at(399)), mark_high=pl.lit(at(400)))
    made = trial(spared, liquidations(), PRIOR)
    swept = 200 * 0.4 * at(400)
    assert made.swept(None)[2].tolist() == pytest.approx([swept, 0])
    assert made.swept(made.crossing)[2].tolist() == [0, 0]
    inverse = trial(grown, liquidations(), replace(PRIOR, settlement="inverse"))
    assert inverse.swept(None)[2].tolist() == pytest.approx([swept, 0])


def test_bars_of_another_maintenance_are_counted_and_left_at_theirs():
    # A bankruptcy price of a long is the trigger times one less the rate: at 5 % five rows lower.
    rows = bars([(400, 400, 380, 390), (390, 392, 370, 372)])
    tables = [
        Brackets.build("x", "A/B:B", time, [(math.inf, rate, 20)])
        for time, rate in zip(rows["time"], (0.005, 0.05), strict=True)
    ]
    chosen = replace(PRIOR, maintenance=tuple(tables))
    for hour, rate in enumerate((0.005, 0.05)):
        told = liquidation(hour, "long", 375, 100, price=at(385 - 10 * hour) * (1 - rate))
        told["price_kind"] = "bankruptcy"
        made = trial(rows, liquidations(told), chosen)
        (found,) = made.cells[made.orders > 0].tolist()
        assert found == [hour, 0, 385 - 10 * hour]
    held = rows.with_columns(open_interest=pl.Series([1_000.0, 1_400.0]))
    longer = trial(pl.concat([held, held[1:].with_columns(time=BEGIN + 2 * HOUR)]), NONE, chosen)
    leaving = replace(chosen, attrition=1.5)
    (quick,) = longer.stood_by([leaving])
    np.testing.assert_allclose(quick, longer.stood(parameters=leaving), rtol=1e-9)
    assert quick.sum() > 0
