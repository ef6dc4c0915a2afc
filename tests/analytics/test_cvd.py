"""What takers did: sums by hand, and bounds that hold whatever was really opened and closed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.cvd import cvd, net_positions, taken
from plimsoll.market.schema import TABLES
from truths.interest import (
    CHANGE,
    LONGS_CLOSED,
    LONGS_OPENED,
    SHORTS_CLOSED,
    SHORTS_OPENED,
    VOLUME,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BTC, SPOT = "BTC/USDT:USDT", "BTC/USDT"
TIME = pl.Datetime("us", "UTC")


def rows_of(kind, *rows):
    if not rows:
        return pl.DataFrame(schema=TABLES[kind].schema)
    frame = pl.DataFrame([{"exchange": "a", "symbol": BTC, **row} for row in rows])
    return TABLES[kind].conform(frame.with_columns(pl.col("time").cast(TIME)))


def candle(at, volume, bought, minutes=30, symbol=BTC):
    prices = dict.fromkeys(("open", "high", "low", "close"), 1.0)
    return {
        "time": START + at * MINUTE,
        "interval": 60 * minutes,
        "volume": volume,
        "taker_buy_volume": bought,
        "symbol": symbol,
        **prices,
    }


def test_the_first_source_that_knows_the_takers_is_taken():
    candles = rows_of(
        "candle",
        candle(0, 5.0, 3.0),
        candle(30, 5.0, 1.0),
        candle(60, 5.0, None),
        candle(90, 5.0, None),
        candle(120, 8.0, 8.0),  # half an hour is missing
    )
    volumes = rows_of(
        "taker_volume",
        *(
            {
                "time": START + h * HOUR,
                "interval": 3_600,
                "buy_amount": 7.0,
                "sell_amount": 2.0,
            }
            for h in (0, 1)
        ),
    )
    trades = rows_of(
        "trade",
        *(
            {"time": START + m * MINUTE, "id": m, "side": s, "price": 1.0, "amount": a}
            for m, s, a in ((150, "buy", 2.0), (151, "sell", 0.5), (160, "buy", 1.0))
        ),
    )
    found = taken(candles, volumes, trades, HOUR)
    assert found["source"].to_list() == ["candles", "taker volume", "trades"]
    assert found["bought"].to_list() == [4, 7, 3]
    assert found["sold"].to_list() == [6, 2, 0.5]
    assert found["time"].to_list() == [START + h * HOUR for h in (1, 2, 3)]


def test_a_block_trade_has_volume_and_no_taker():
    def traded(minute, side, amount, origin):
        time = START + minute * MINUTE
        about = {"time": time, "id": minute, "side": side, "price": 1.0, "amount": amount}
        return {**about, "origin": origin}

    trades = rows_of(
        "trade",
        traded(1, "buy", 2.0, "screen"),
        traded(2, "buy", 5.0, "block"),
        traded(3, "sell", 7.0, "block"),
        traded(4, "sell", 0.5, None),
        traded(5, "sell", 1.0, "combo"),
    )
    found = taken(rows_of("candle"), rows_of("taker_volume"), trades, HOUR)
    assert found.select("bought", "sold", "volume").rows() == [(2, 1.5, 15.5)]


def test_a_candle_that_reaches_over_the_end_of_a_bar_is_left_out():
    """From 04:00 to 12:00: at 08:00 nobody knew of it, and at 16:00 it is not of the last hours."""
    candles = rows_of("candle", candle(240, 5.0, 3.0, minutes=480))
    none = (rows_of("taker_volume"), rows_of("trade"))
    assert taken(candles, *none, 8 * HOUR).is_empty()
    (row,) = taken(rows_of("candle", candle(480, 5.0, 3.0, 480)), *none, 8 * HOUR).rows(named=True)
    assert (row["time"], row["bought"], row["sold"]) == (START + 16 * HOUR, 3, 2)


def test_volume_without_takers_is_kept_for_the_coverage():
    found = taken(
        rows_of("candle", candle(0, 6.0, None, 60)), rows_of("taker_volume"), rows_of("trade"), HOUR
    )
    assert found.select("bought", "sold", "volume").row(0) == (None, None, 6)


def flows(*rows):
    """Rows of (hour, exchange, symbol, bought, sold, volume)."""
    return pl.DataFrame(
        [(START + h * HOUR, *rest) for h, *rest in rows],
        schema={
            "time": TIME,
            "exchange": pl.String,
            "symbol": pl.String,
            "bought": pl.Float64,
            "sold": pl.Float64,
            "volume": pl.Float64,
        },
        orient="row",
    )


def test_spot_and_contracts_are_summed_apart_with_what_they_cover():
    frame = cvd(
        flows(
            (1, "a", SPOT, 5.0, 3.0, 8.0),
            (1, "a", BTC, 1.0, 4.0, 5.0),
            (1, "b", BTC, None, None, 15.0),
            (2, "a", SPOT, 1.0, 2.0, 3.0),
            (2, "a", BTC, 6.0, 2.0, 8.0),
            # b is silent: it counts with its mean volume, 15
        )
    )
    assert frame["spot_cvd"].to_list() == [2, 1]
    assert frame["futures_delta"].to_list() == [-3, 4]
    assert frame["futures_cvd"].to_list() == [-3, 1]
    assert frame["futures_coverage"].to_list() == [0.25, pytest.approx(8 / 23)]
    assert frame["spot_coverage"].to_list() == [1, 1]


def test_where_no_taker_is_known_there_is_no_delta():
    frame = cvd(flows((1, "a", BTC, None, None, 5.0), (2, "a", BTC, 2.0, 1.0, 3.0)))
    assert frame["futures_cvd"].to_list() == [None, 1]
    assert frame["futures_coverage"].to_list() == [0, 1]
    assert frame["spot_cvd"].to_list() == [None, None]


def bars(*rows):
    return pl.DataFrame(
        [(START + h * HOUR, "a", BTC, *rest) for h, *rest in rows],
        schema={
            "time": TIME,
            "exchange": pl.String,
            "symbol": pl.String,
            "change": pl.Float64,
            "bought": pl.Float64,
            "sold": pl.Float64,
        },
        orient="row",
    )


def test_the_worked_example_of_the_flow_identities():
    # 100 traded, 60 of it bought by takers, open interest falls by 20: the longs of takers grew by
    # -40 at least (all sellers closed longs) and 40 at most (all buyers opened them, but for 20).
    (row,) = net_positions(bars((1, -20.0, 60.0, 40.0))).iter_rows(named=True)
    assert (row["longs_low"], row["longs"], row["longs_high"]) == (-40, 0, 40)
    assert (row["shorts_low"], row["shorts"], row["shorts_high"]) == (-60, -20, 20)
    assert row["net"] == 20
    assert row["longs_high"] - row["longs_low"] == 100 - 20


def test_the_flows_of_the_worked_example_lie_within_the_bounds():
    # Whoever was the taker of each: were all that gained longs takers, or none.
    bought = LONGS_OPENED + SHORTS_CLOSED
    assert (bought, SHORTS_OPENED + LONGS_CLOSED) == (VOLUME, VOLUME)
    buyers, sellers = bars((1, CHANGE, VOLUME, 0.0)), bars((1, CHANGE, 0.0, VOLUME))
    (row,) = net_positions(buyers).iter_rows(named=True)
    assert row["longs_low"] <= LONGS_OPENED <= row["longs_high"]
    assert row["shorts_low"] <= -SHORTS_CLOSED <= row["shorts_high"]
    (row,) = net_positions(sellers).iter_rows(named=True)
    assert row["longs_low"] <= -LONGS_CLOSED <= row["longs_high"]
    assert row["shorts_low"] <= SHORTS_OPENED <= row["shorts_high"]


def test_a_bar_that_cannot_be_is_left_out_and_the_sum_goes_on():
    frame = net_positions(
        bars((1, 5.0, 6.0, 4.0), (2, 50.0, 6.0, 4.0), (3, None, 1.0, 1.0), (4, 3.0, 2.0, 1.0))
    )
    assert frame["longs"].to_list() == [3.5, None, None, 2.0]
    assert frame["net_longs"].to_list() == [3.5, None, None, 5.5]
    assert frame["markets"].to_list() == [1, 0, 0, 1]


one_trade = st.tuples(
    st.booleans(),  # does the taker buy?
    st.booleans(),  # does the taker open?
    st.booleans(),  # does the maker open?
    st.integers(1, 50),
)


@given(st.lists(st.lists(one_trade, min_size=1, max_size=20), min_size=1, max_size=6))
@settings(max_examples=100)
def test_whatever_was_opened_and_closed_lies_within_the_bounds(hours):
    rows, truths = [], []
    for hour, trades in enumerate(hours, start=1):
        longs = shorts = maker_longs = maker_shorts = bought = sold = 0
        for buys, opens, maker_opens, size in trades:
            if buys:  # the taker opens a long or closes a short; the maker the other way round
                bought += size
                longs, shorts = (longs + size, shorts) if opens else (longs, shorts - size)
                maker_shorts += size if maker_opens else 0
                maker_longs -= 0 if maker_opens else size
            else:
                sold += size
                longs, shorts = (longs, shorts + size) if opens else (longs - size, shorts)
                maker_longs += size if maker_opens else 0
                maker_shorts -= 0 if maker_opens else size
        assert longs + maker_longs == shorts + maker_shorts  # one long for each short
        rows.append((hour, float(longs + maker_longs), float(bought), float(sold)))
        truths.append((longs, shorts))
    found = net_positions(bars(*rows))
    for row, (longs, shorts) in zip(found.iter_rows(named=True), truths, strict=True):
        assert row["longs_low"] <= longs <= row["longs_high"]
        assert row["shorts_low"] <= shorts <= row["shorts_high"]
        assert row["net"] == longs - shorts


@given(st.integers(0, 50), st.integers(0, 50), st.integers(-100, 100))
def test_no_tighter_bound_holds(bought, sold, change):
    """Both ends can be reached: some trades bring the longs of takers there."""
    if abs(change) > bought + sold or bought + sold == 0:
        return
    (row,) = net_positions(bars((1, float(change), float(bought), float(sold)))).iter_rows(
        named=True
    )
    # A taker's longs grow by the purchases that open less the sales that close; the makers' longs
    # by the rest of the change, which their own purchases (sold) and sales (bought) must allow.
    reached = [
        opened - closed
        for opened in range(bought + 1)
        for closed in range(sold + 1)
        if -bought <= change - (opened - closed) <= sold
    ]
    assert (row["longs_low"], row["longs_high"]) == (min(reached), max(reached))


def test_of_several_markets_the_bounds_are_summed():
    two = pl.concat(
        [bars((1, 5.0, 6.0, 4.0)), bars((1, -2.0, 1.0, 3.0)).with_columns(exchange=pl.lit("b"))]
    )
    (row,) = net_positions(two).iter_rows(named=True)
    alone = [net_positions(two.filter(exchange=name)).row(0, named=True) for name in "ab"]
    for name in ("longs", "longs_low", "longs_high", "shorts", "net"):
        assert row[name] == sum(one[name] for one in alone)
    assert row["markets"] == 2
