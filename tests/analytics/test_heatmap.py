"""Bars from a store, and the map from bars."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.bars import bars, marked
from plimsoll.analytics.cells import trial
from plimsoll.analytics.fitting import fitted
from plimsoll.analytics.heatmap import HeatMap, Parameters, liquidation_map
from plimsoll.analytics.provenance import stands

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
WHO = {"exchange": pl.lit("binance"), "symbol": pl.lit("BTC/USDT:USDT")}


def table(rows, *names):
    """Rows start with minutes after START."""
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("time", *names), pl.Float64), orient="row")
    return frame.with_columns(time=START + pl.duration(minutes="time"), **WHO)


def candles(rows, seconds=900):
    frame = table(rows, "open", "high", "low", "close", "volume", "taker_buy_volume")
    return frame.with_columns(interval=pl.lit(seconds))


def stamps(rows):
    return table(rows, "amount", "value_usd")


QUARTERS = [
    (0, 100, 105, 99, 101, 1, 0.5),
    (15, 101, 103, 100, 102, 2, 1.5),
    (30, 102, 104, 95, 96, 4, 1.0),
    (45, 96, 98, 96, 97, 8, 2.0),
]


def walk(n=600, seed=1, interval=HOUR):
    """Bars of a random walk, as `bars` makes them."""
    random = np.random.default_rng(seed)
    close = 40_000 * np.exp(np.cumsum(random.normal(0, 0.006, n)))
    open_ = np.append(40_000.0, close[:-1])
    volume = random.exponential(2_000, n)
    interest = 60_000 * np.exp(np.cumsum(random.normal(0, 0.005, n)))
    return pl.DataFrame(
        {
            "time": [START + i * interval for i in range(n)],
            "open": open_,
            "high": np.maximum(open_, close) * np.exp(random.exponential(0.002, n)),
            "low": np.minimum(open_, close) * np.exp(-random.exponential(0.002, n)),
            "close": close,
            "volume": volume,
            "taker_buy": volume * random.uniform(size=n),
            "open_interest": interest,
            "open_interest_usd": interest * close,
        }
    ).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))


# Bars


def test_short_candles_are_joined_into_one_bar():
    (bar,) = bars(candles(QUARTERS), stamps([]), HOUR, START, START + HOUR).to_dicts()
    assert bar == {
        "time": START,
        "open": 100,
        "high": 105,
        "low": 95,
        "close": 97,
        "volume": 15,
        "taker_buy": 5,
        "open_interest": None,
        "open_interest_usd": None,
    }


def test_bar_with_a_candle_missing_has_no_volume():
    (bar,) = bars(candles(QUARTERS[:3]), stamps([]), HOUR, START, START + HOUR).to_dicts()
    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (100, 105, 95, 96)
    assert bar["volume"] is None
    assert bar["taker_buy"] is None


def test_bar_whose_first_candle_is_missing_opens_at_the_close_before_it():
    later = [(60 + row[0], *row[1:]) for row in QUARTERS[1:]]
    rows = bars(candles([*QUARTERS, *later]), stamps([]), HOUR, START, START + 2 * HOUR)
    assert rows["open"].to_list() == [100, 97]


def test_volume_unknown_in_one_candle_is_unknown_in_the_bar():
    rows = [(*QUARTERS[0][:5], None, None), *QUARTERS[1:]]
    (bar,) = bars(candles(rows), stamps([]), HOUR, START, START + HOUR).to_dicts()
    assert bar["close"] == 97
    assert bar["volume"] is None


def test_open_interest_is_that_of_the_last_stamp_up_to_and_with_the_end_of_the_bar():
    amounts = stamps([(0, 10, 1_000), (30, 20, 2_000), (60, 30, 3_000), (61, 40, 4_000)])
    rows = bars(candles(QUARTERS), amounts, HOUR, START, START + 3 * HOUR)
    assert rows["open_interest"].to_list() == [30, 40, None]
    assert rows["open_interest_usd"].to_list() == [3_000, 4_000, None]


def test_stretch_without_candles_is_rows_of_nulls():
    rows = bars(candles(QUARTERS), stamps([]), HOUR, START, START + 3 * HOUR)
    assert rows["time"].to_list() == [START, START + HOUR, START + 2 * HOUR]
    assert rows[1:].drop("time").null_count().row(0) == (2,) * 8


def test_bars_open_at_multiples_of_their_length_and_lie_wholly_inside():
    since, until = START + timedelta(minutes=1), START + timedelta(hours=3, minutes=59)
    rows = bars(candles(QUARTERS), stamps([]), HOUR, since, until)
    assert rows["time"].to_list() == [START + HOUR, START + 2 * HOUR]


def test_without_candles_prices_are_marks_of_the_open_interest():
    """Marks 100, then 90 and 110 within the hour, 105 at its end."""
    amounts = stamps([(0, 10, 1_000), (20, 10, 900), (40, 10, 1_100), (60, 10, 1_050)])
    (bar,) = bars(candles([]), amounts, HOUR, START, START + HOUR).to_dicts()
    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (100, 110, 90, 105)
    assert bar["volume"] is None


def test_first_mark_has_no_open_before_it():
    (bar,) = bars(candles([]), stamps([(30, 10, 1_000)]), HOUR, START, START + HOUR).to_dicts()
    assert bar["open"] is None
    assert bar["close"] == 100


def test_extremes_of_the_mark_price_are_those_of_candles_that_fill_the_bar():
    traded = bars(candles(QUARTERS), stamps([]), HOUR, START, START + 2 * HOUR)
    rows = [(*row[:2], row[2] - 1, row[3] + 1, *row[4:]) for row in QUARTERS]
    found = marked(traded, candles(rows))
    assert found["mark_low"].to_list() == [96, None]  # 95 + 1
    assert found["mark_high"].to_list() == [104, None]
    assert marked(traded, candles(rows[1:]))["mark_low"].to_list() == [None, None]
    assert marked(traded, candles(rows, seconds=7_200))["mark_low"].to_list() == [None, None]


def test_positions_are_crossed_on_the_mark_price_where_it_is_known():
    flat = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0}
    rows = [
        {**flat, "open_interest": 1_000.0},
        {**flat, "open_interest": 1_400.0},
        {**flat, "low": 90.0, "open_interest": 1_400.0},  # a wick of trades the mark did not share
        {**flat, "open_interest": 1_400.0},
    ]
    frame = pl.DataFrame(rows).with_columns(
        time=pl.Series([START + at * HOUR for at in range(4)]),
        volume=pl.lit(0.0),
        taker_buy=pl.lit(0.0),
        open_interest_usd=pl.col("open_interest") * 100,
    )
    span = {"low": 50.0, "high": 200.0}
    wick = liquidation_map(frame, **span)
    spared = liquidation_map(
        frame.with_columns(mark_low=pl.lit(99.5), mark_high=pl.lit(100.0)), **span
    )
    half = liquidation_map(
        frame.with_columns(
            mark_low=pl.Series([99.5, 99.5, None, 99.5]), mark_high=pl.Series([100.0] * 4)
        ),
        **span,
    )
    assert wick.crossed["long_usd"][2] > 0
    assert spared.crossed["long_usd"].to_list() == [0, 0, 0, 0]
    assert half.crossed.equals(wick.crossed)  # unknown: on trades
    # By hand: half of 400 new coins at $100; 10x and more, 55 % of them, are liquidated above 90.
    assert spared.swept() == {
        "crossed_on": "mark price",
        "crossed_usd": {"long": 0, "short": 0},
        "crossed_on_trades_usd": {"long": pytest.approx(11_000), "short": 0},
    }
    assert spared.describe()["crossed_on"] == "mark price"
    assert wick.swept() == {
        "crossed_on": "trades",
        "crossed_usd": {"long": pytest.approx(11_000), "short": 0},
        "crossed_on_trades_usd": {"long": pytest.approx(11_000), "short": 0},
    }
    unknown = liquidation_map(frame.with_columns(pl.lit(None).alias("open")), **span)
    assert unknown.swept()["crossed_usd"] == {"long": None, "short": None}


def test_later_rows_change_no_earlier_bar():
    late = [(60 + row[0], *row[1:]) for row in QUARTERS]
    amounts = [(m, 10 + m, 1_000 + m) for m in range(0, 121, 5)]
    whole = bars(candles([*QUARTERS, *late]), stamps(amounts), HOUR, START, START + 2 * HOUR)
    known = [row for row in amounts if row[0] <= 60]
    part = bars(candles(QUARTERS), stamps(known), HOUR, START, START + HOUR)
    assert whole[:1].equals(part)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"interval": timedelta(minutes=20)}, "do not fill"),
        ({"interval": timedelta(minutes=5)}, "do not fill"),
        ({"interval": timedelta(0)}, "positive length"),
        ({"until": START + timedelta(minutes=59)}, "no bar"),
        ({"open_interest": stamps([(0, 1, 1)]).with_columns(exchange=pl.lit("okx"))}, "okx"),
        (
            {"candles": pl.concat([candles(QUARTERS), candles(QUARTERS, seconds=60)])},
            "one length",
        ),
    ],
)
def test_rows_that_make_no_bars_are_refused(wrong, message):
    given = {
        "candles": candles(QUARTERS),
        "open_interest": stamps([(0, 1, 1)]),
        "interval": HOUR,
        "since": START,
        "until": START + HOUR,
    }
    with pytest.raises(ValueError, match=message):
        bars(**{**given, **wrong})


# The map


@settings(max_examples=15)
@given(st.integers(2, 300), st.integers(0, 2**32 - 1))
def test_map_of_the_past_is_not_changed_by_the_future(n, seed):
    series = walk(300, seed)
    shown = {"low": 25_000, "high": 60_000}
    whole, part = liquidation_map(series, **shown), liquidation_map(series[:n], **shown)
    for name in ("long_usd", "short_usd", "coverage", "open_interest_usd", "time"):
        ours, theirs = getattr(whole, name)[:n], getattr(part, name)
        assert np.array_equal(ours, theirs, equal_nan=name != "time"), name
    assert whole.crossed[:n].equals(part.crossed)


def test_sides_stay_below_the_liquidatable_open_interest_and_off_the_price():
    found = liquidation_map(walk(), Parameters(liquidatable=0.3), rows=5_000)
    assert np.isnan(found.long_usd[0]).all()
    assert found.known[1:].all()
    most = 0.3 * found.open_interest_usd[1:] * (1 + 1e-9)
    assert (found.long_usd[1:].sum(axis=1) <= most).all()
    assert (found.short_usd[1:].sum(axis=1) <= most).all()
    price = found.open[1:, None]
    assert not found.long_usd[1:][found.edges[1:] > price * (1 + 1e-12)].any()
    assert not found.short_usd[1:][found.edges[:-1] < price * (1 - 1e-12)].any()


def test_columns_are_every_nth_bar_and_candles_join_the_bars_between():
    series = walk(50)
    every, some = liquidation_map(series), liquidation_map(series, every=7)
    assert len(some) == 8
    assert some.interval == 7 * HOUR
    assert np.array_equal(some.time, every.time[::7])
    assert some.open[1] == series["open"][7]
    assert some.high[1] == series["high"][7:14].max()
    assert some.low[1] == series["low"][7:14].min()
    assert some.close[1] == series["close"][13]
    assert some.crossed.equals(every.crossed)


def test_bars_before_since_only_fill_the_inventory():
    series = walk(100)
    shown = {"low": 25_000, "high": 60_000}
    whole = liquidation_map(series, **shown)
    part = liquidation_map(series, since=START + 40 * HOUR, **shown)
    assert np.array_equal(part.long_usd, whole.long_usd[40:])
    assert len(part.crossed) == 60


def test_no_more_rows_than_asked():
    assert liquidation_map(walk(50), rows=100).long_usd.shape[1] <= 100


def test_table_holds_the_map_and_marks_unknown_columns_by_null():
    series = walk(30).with_columns(
        open_interest=pl.when(pl.int_range(30) == 9).then(None).otherwise("open_interest")
    )
    found = liquidation_map(series)
    table = found.to_frame()
    assert table.columns == ["time", "side", "price_low", "price_high", "usd"]
    unknown = table.filter(pl.col("usd").is_null())
    assert unknown["time"].unique().sort().to_list() == [START, START + 10 * HOUR]
    assert unknown["price_low"].null_count() == len(unknown) == 4
    assert table["usd"].sum() == pytest.approx(np.nansum(found.long_usd + found.short_usd))
    assert table["usd"].min() > 0


def test_profile_sums_outward_from_the_price():
    found = liquidation_map(walk(200))
    profile = found.profile()
    longs, shorts = found.long_usd[-1], found.short_usd[-1]
    assert profile["long_cumulative_usd"][0] == pytest.approx(longs.sum())
    assert profile["short_cumulative_usd"][-1] == pytest.approx(shorts.sum())
    near = profile.filter(pl.col("price_high") > found.open[-1] * 1.001)
    assert near["long_cumulative_usd"].max() == 0


def small(**changed):
    """Two columns and two rows, the second column unknown."""
    unknown = [np.nan, np.nan]
    words = {
        "time": np.array(["2024-08-03T09:15", "2024-08-03T09:20"], "datetime64[us]"),
        "interval": timedelta(minutes=5),
        "edges": np.array([60_000.0, 61_000.0, 62_000.0]),
        "long_usd": np.array([[250.5, 0.0], unknown]),
        "short_usd": np.array([[0.0, 0.0], unknown]),
        "open": np.array([61_486.0, np.nan]),
        "high": np.array([61_596.4, np.nan]),
        "low": np.array([61_434.4, np.nan]),
        "close": np.array([61_539.9, np.nan]),
        "volume_usd": np.array([63_753_192.1129, np.nan]),
        "open_interest_usd": np.array([1_000.0, np.nan]),
        "coverage": np.array([0.5, np.nan]),
        "crossed": pl.DataFrame(),
        "inconsistent": 0,
        "parameters": Parameters(),
    }
    return HeatMap(**(words | changed))


def test_the_shape_of_coinglass():
    # Names, order, and which numbers are text are those of the documented answer, whose first
    # candlestick this is: docs.coinglass.com/reference/liquidation-heatmap, version 4.
    assert small().to_coinglass() == {
        "y_axis": [60_500.0, 61_500.0],
        "liquidation_leverage_data": [[0, 0, 250.5]],
        "price_candlesticks": [
            [1722676500, "61486.0", "61596.4", "61434.4", "61539.9", "63753192.1129"],
            [1722676800, None, None, None, None, None],
        ],
    }


def test_volume_of_a_column_is_that_of_its_bars_at_their_closes_and_unknown_with_one_of_them():
    series = walk(4).with_columns(volume=pl.Series([1.0, 2.0, 3.0, None]))
    first, second = liquidation_map(series, every=2).volume_usd
    assert first == pytest.approx(series["close"][0] + 2 * series["close"][1])
    assert np.isnan(second)


def test_inverse_contracts_neither_open_nor_close_when_only_the_price_moves():
    """1,000 dollars of contracts are 10 coins at 100 and 8 at 125: nobody traded."""
    series = pl.DataFrame(
        {
            "time": [START, START + HOUR, START + 2 * HOUR],
            "open": [100.0, 100.0, 125.0],
            "high": [100.0, 125.0, 125.0],
            "low": [100.0, 100.0, 125.0],
            "close": [100.0, 125.0, 125.0],
            "volume": [None, None, None],
            "taker_buy": [None, None, None],
            "open_interest": [10.0, 8.0, 8.0],
            "open_interest_usd": [1_000.0, 1_000.0, 1_000.0],
        }
    )
    found = liquidation_map(series, Parameters(settlement="inverse"))
    assert found.coverage[2] == 0
    assert found.open_interest_usd[1:].tolist() == [1_000, 1_000]
    assert not found.long_usd[2].any()


def test_coverage_is_of_what_can_be_liquidated_on_both_sides():
    # Two in three of what can be liquidated are longs; a side of which none can be tells nothing.
    series = walk(40)
    both = liquidation_map(series, Parameters(liquidatable=0.4, liquidatable_shorts=0.2))
    alone = liquidation_map(series, Parameters(liquidatable=0.4, liquidatable_shorts=0.0))
    other = liquidation_map(series, Parameters(liquidatable=0.0, liquidatable_shorts=0.2))
    assert alone.known.any()
    assert not alone.short_usd[alone.known].any()
    np.testing.assert_allclose(both.coverage, (2 * alone.coverage + other.coverage) / 3)
    none = liquidation_map(series, Parameters(liquidatable=0.0))
    assert not none.known.any()


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (walk(1), {}, "two or more"),
        (walk(9).filter(pl.int_range(9) != 4), {}, "evenly spaced"),
        (walk(9).with_columns(open_interest=pl.lit(None, pl.Float64)), {}, "open interest"),
        (walk(9), {"since": START + 9 * HOUR}, "nothing to show"),
        (walk(9), {"every": 0}, "nothing to show"),
        (walk(9), {"low": 60_000, "high": 25_000}, "low ≤ high"),
    ],
)
def test_bars_without_a_map_are_refused(series, options, message):
    with pytest.raises(ValueError, match=message):
        liquidation_map(series, **options)


# Real data


@pytest.fixture(scope="module")
def bitcoin(real):
    chosen = pl.col("symbol") == "BTC/USDT:USDT"
    until = datetime(2026, 4, 1, tzinfo=UTC)
    interest = pl.read_parquet(real / "open_interest_5m_binance.parquet").filter(chosen)
    traded = pl.read_parquet(real / "candles_1h_binance.parquet").filter(chosen)
    traded = traded.with_columns(interval=pl.lit(3_600))
    return bars(traded, interest, HOUR, datetime(2025, 12, 1, tzinfo=UTC), until)


@pytest.mark.real
def test_real_map_never_exceeds_the_open_interest(bitcoin):
    found = liquidation_map(bitcoin, rows=2_000)
    assert found.known[1:].all()
    for usd in (found.long_usd[1:], found.short_usd[1:]):
        assert (usd.sum(axis=1) <= 0.5 * found.open_interest_usd[1:] * (1 + 1e-9)).all()
        assert (usd >= 0).all()


@pytest.mark.real
def test_real_map_has_no_position_on_the_wrong_side_of_the_price(bitcoin):
    found = liquidation_map(bitcoin, rows=2_000)
    assert found.edges[1] / found.edges[0] == pytest.approx(np.exp(0.001))
    price = found.open[1:, None]
    assert not found.long_usd[1:][found.edges[1:] > price * (1 + 1e-12)].any()
    assert not found.short_usd[1:][found.edges[:-1] < price * (1 - 1e-12)].any()


@pytest.mark.real
def test_real_map_of_january_does_not_know_february(bitcoin):
    shown = {"low": 40_000, "high": 130_000}
    february = datetime(2026, 2, 1, tzinfo=UTC)
    whole = liquidation_map(bitcoin, **shown)
    part = liquidation_map(bitcoin.filter(pl.col("time") < february), **shown)
    n = len(part)
    assert np.array_equal(whole.long_usd[:n], part.long_usd, equal_nan=True)
    assert np.array_equal(whole.short_usd[:n], part.short_usd, equal_nan=True)


@pytest.mark.real
def test_real_crash_of_february_sweeps_longs(bitcoin):
    """On 2026-02-05 bitcoin fell from 73,000 to 62,000."""
    found = liquidation_map(bitcoin)
    daily = found.crossed.group_by(pl.col("time").dt.date(), maintain_order=True).sum()
    crash = daily.filter(pl.col("time") == date(2026, 2, 5))
    assert crash["long_usd"].item() > 10 * crash["short_usd"].item()
    assert crash["long_usd"].item() > 5 * daily["long_usd"].median()


def test_what_is_said_of_a_map_is_of_that_map():
    drawn = liquidation_map(walk())
    assert drawn.said == (
        "an estimate: leverage mix is a prior, not fitted; maintenance 0.004 for all sizes; "
        "not scored"
    )
    score = {"skill": 0.1, "low": -0.05, "high": 0.2, "days": 30}
    said = replace(drawn, score=score).said
    assert "for all sizes; not scored; the fitted map's skill" in said
    assert "+0.10 (-0.05 to +0.20) on 30 days" in said
    several = replace(drawn, fits=3, markets=pl.DataFrame()).said
    assert several == (
        "an estimate: leverage mix of 3 markets fitted to their liquidations; maintenance 0.004 "
        "for all sizes in the largest market; not scored"
    )


def test_a_map_fitted_to_nothing_is_the_prior_s_and_has_no_limits():
    series = walk(24 * 20)
    nothing = pl.DataFrame(
        schema={
            "time": pl.Datetime("us", "UTC"),
            "side": pl.String,
            "price": pl.Float64,
            "amount": pl.Float64,
            "value_usd": pl.Float64,
            "price_kind": pl.String,
            "completeness": pl.String,
        }
    )
    fit = fitted(trial(series, nothing, Parameters()))
    drawn, prior = liquidation_map(series, fit=fit), liquidation_map(series)
    assert drawn.limits is None
    assert np.array_equal(drawn.long_usd, prior.long_usd, equal_nan=True)
    assert "which tell nothing: it is the prior" in drawn.said
    assert stands(series, Parameters(), fit).limits("long", 1, 1e6) is None
