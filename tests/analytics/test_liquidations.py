"""Realised liquidations: dollars by hand, labels that are never lost, and bounds that hold."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics import forced
from plimsoll.analytics.liquidations import LABELS, added, published, strongest, totals
from plimsoll.exchanges import exchange
from plimsoll.exchanges.reading import Listing
from plimsoll.market import schema
from plimsoll.market.instrument import Instrument
from plimsoll.market.schema import TABLES

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SYMBOL = "BTC/USDT:USDT"


def liquidations(*rows, label="complete", venue="bybit", symbol=SYMBOL):
    """Rows of (minutes after START, side, dollars)."""
    return TABLES["liquidation"].conform(
        pl.DataFrame(
            {
                "exchange": venue,
                "symbol": symbol,
                "time": [START + minutes * MINUTE for minutes, _, _ in rows],
                "side": [side for _, side, _ in rows],
                "price": 100.0,
                "amount": [usd / 100 for _, _, usd in rows],
                "price_kind": "fill",
                "completeness": label,
            },
            schema_overrides={"time": schema.TIME},
        )
    )


def gaps(*rows, venue="bybit", stream="liquidation"):
    """Rows of (first minute, last minute)."""
    return TABLES["gap"].conform(
        pl.DataFrame(
            {
                "exchange": venue,
                "symbol": SYMBOL,
                "stream": stream,
                "time": [START + first * MINUTE for first, _ in rows],
                "until": [START + last * MINUTE for _, last in rows],
                "reason": "the socket closed",
            },
            schema_overrides={"time": schema.TIME, "until": schema.TIME},
        )
    )


NONE = gaps()


def candles(*rows, venue="bybit", seconds=60):
    """Rows of (minutes after START, low, high, bought, sold): dollars by aggressor."""
    return TABLES["candle"].conform(
        pl.DataFrame(
            [
                {
                    "exchange": venue,
                    "symbol": SYMBOL,
                    "time": START + minutes * MINUTE,
                    "interval": seconds,
                    "open": low,
                    "high": high,
                    "low": low,
                    "close": high,
                    "quote_volume": float(bought + sold),
                    "taker_buy_quote_volume": float(bought),
                }
                for minutes, low, high, bought, sold in rows
            ],
            schema_overrides={"time": schema.TIME},
        )
    )


def interest(*rows, venue="bybit"):
    """Rows of (minutes after START, amount)."""
    return TABLES["open_interest"].conform(
        pl.DataFrame(
            {
                "exchange": venue,
                "symbol": SYMBOL,
                "time": [START + minutes * MINUTE for minutes, _ in rows],
                "amount": [float(amount) for _, amount in rows],
            },
            schema_overrides={"time": schema.TIME, "amount": pl.Float64},
        )
    )


def test_dollars_are_summed_by_side_and_step():
    rows = liquidations(
        (1, "long", 500.0), (59, "long", 250.0), (59, "short", 40.0), (125, "short", 8)
    )
    found = totals(rows, NONE, HOUR)
    assert found["time"].to_list() == [START, START + HOUR, START + 2 * HOUR]
    assert found["long_usd"].to_list() == [750, 0, 0]
    assert found["short_usd"].to_list() == [40, 0, 8]
    assert found["long_count"].to_list() == [2, 0, 0]
    assert found["completeness"].to_list() == ["complete"] * 3
    assert found["seen"].to_list() == [1, 1, 1]
    assert found["known_at"].to_list() == [START + n * HOUR for n in (1, 2, 3)]


def test_a_recorded_order_counts_as_a_closed_long_at_its_average_price():
    """Binance's own example: a sell of 0.014 at 9910 is a long closed, 138.74 dollars of it."""
    payload = (
        b'{"stream":"btcusdt@forceOrder","data":{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC",'
        b'"q":"0.014","p":"9910","ap":"9910","X":"FILLED","l":"0.014","z":"0.014","T":1568014460893}}}'
    )
    listing = Listing(
        native="BTCUSDT",
        category="linear",
        instrument=Instrument(exchange="binance", symbol=SYMBOL),
    )
    events = exchange("binance").decoder([listing]).read(payload, 1_568_014_460_900_000_000)
    found = totals(schema.rows(events)["liquidation"], NONE, HOUR).row(0, named=True)
    assert found["long_usd"] == pytest.approx(0.014 * 9910)
    assert (found["short_usd"], found["completeness"]) == (0, "throttled")


def test_a_feed_that_was_cut_off_is_not_a_quiet_one():
    rows = liquidations((0, "long", 100.0), (190, "long", 1.0))
    found = totals(rows, gaps((75, 180)), HOUR)
    assert found["seen"].to_list() == [1, 0.25, 0, 1]
    assert found["long_usd"].to_list() == [100, 0, None, 1]
    assert found["completeness"].to_list() == ["complete", "sampled", "unknown", "complete"]
    # That the feed was cut off was only known when it was back.
    assert found["known_at"][1] == START + 3 * HOUR


def test_gaps_of_other_streams_do_not_matter():
    rows = liquidations((0, "long", 100.0), (190, "long", 1.0))
    assert totals(rows, gaps((75, 180), stream="trade"), HOUR).equals(totals(rows, NONE, HOUR))


def test_after_a_day_of_silence_nothing_is_known():
    rows = liquidations((0, "long", 100.0), (60 * 30, "short", 1.0))
    found = totals(rows, NONE, HOUR)
    quiet = found["long_usd"].to_list()
    assert quiet[:25] == [100, *[0] * 24]
    assert quiet[25:30] == [None] * 5
    assert quiet[30] == 0
    assert set(found["completeness"][25:30]) == {"unknown"}


def test_silence_of_a_sample_says_nothing():
    found = totals(
        liquidations((0, "long", 100.0), (130, "long", 1.0), label="sampled"), NONE, HOUR
    )
    assert found["long_usd"].to_list() == [100, None, 1]
    assert found["completeness"].to_list() == ["sampled", "unknown", "sampled"]
    assert found["seen"].to_list() == [1, None, 1]


def test_another_symbol_of_the_exchange_proves_that_the_feed_lives():
    rows = pl.concat(
        [
            liquidations((0, "long", 100.0), symbol="BTC/USD:BTC"),
            liquidations((0, "long", 1.0), (60 * 20, "long", 1.0), (60 * 40, "long", 1.0)),
        ]
    )
    rare = totals(rows, NONE, HOUR).filter(pl.col("symbol") == "BTC/USD:BTC")
    assert rare["long_usd"].to_list() == [100, *[0] * 40]


def test_dollars_that_are_not_known_are_not_zero():
    rows = pl.concat(
        [
            liquidations((0, "long", 100.0), symbol="BTC/EUR:EUR"),
            liquidations((0, "short", 50.0), symbol="BTC/USDT:USDT"),
        ]
    )
    euros, dollars = totals(rows, NONE, HOUR).rows(named=True)
    assert (euros["long_usd"], euros["long_count"], euros["completeness"]) == (None, 1, "sampled")
    assert dollars["short_usd"] == 50
    both = added(totals(rows, NONE, HOUR), "time").row(0, named=True)
    assert (both["long_usd"], both["short_usd"], both["completeness"]) == (0, 50, "sampled")


def test_no_liquidation_is_an_empty_answer():
    found = totals(liquidations(), NONE, HOUR)
    assert found.height == 0
    assert "completeness" in found.columns


def sums(*rows, seconds=300, label="aggregated", venue="gate"):
    """Rows of (minutes after START, long dollars, short dollars)."""
    return TABLES["liquidation_total"].conform(
        pl.DataFrame(
            {
                "exchange": venue,
                "symbol": SYMBOL,
                "time": [START + minutes * MINUTE for minutes, _, _ in rows],
                "interval": seconds,
                "long_usd": [long for _, long, _ in rows],
                "short_usd": [short for _, _, short in rows],
                "completeness": label,
            },
            schema_overrides={
                "time": schema.TIME,
                "long_usd": pl.Float64,
                "short_usd": pl.Float64,
            },
        )
    )


def test_published_sums_are_added_up_and_say_what_is_missing():
    whole = published(sums(*((5 * n, 10.0, 1.0) for n in range(12))), HOUR).row(0, named=True)
    assert (whole["long_usd"], whole["short_usd"], whole["seen"]) == (120, 12, 1)
    assert whole["completeness"] == "aggregated"
    part = published(sums((0, 10.0, None), (5, 10.0, 2.0)), HOUR).row(0, named=True)
    assert (part["long_usd"], part["short_usd"], part["completeness"]) == (20, 2, "sampled")
    assert part["seen"] == pytest.approx(2 / 12)


def test_a_day_is_not_spread_over_hours():
    assert published(sums((0, 10.0, 1.0), seconds=86_400), HOUR).height == 0


def test_a_bucket_that_reaches_over_the_end_of_a_step_is_of_none():
    halves = sums((30, 10.0, 1.0), (60, 20.0, 2.0), seconds=3_600)
    assert published(halves, HOUR)["long_usd"].to_list() == [20]


def test_the_stronger_of_two_tales_counts_and_none_twice():
    rows = totals(liquidations((1, "long", 70.0), label="throttled", venue="gate"), NONE, HOUR)
    told = published(sums(*((5 * n, 10.0, 1.0) for n in range(12))), HOUR)
    assert strongest(rows, told)["long_usd"].to_list() == [120]
    complete = totals(liquidations((1, "long", 70.0), venue="gate"), NONE, HOUR)
    assert strongest(complete, told)["long_usd"].to_list() == [70]


@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=6))
def test_a_sum_bears_the_weakest_label(labels):
    frames = [
        totals(liquidations((0, "long", 1.0), label=label, venue=f"venue-{n}"), NONE, HOUR)
        for n, label in enumerate(labels)
    ]
    found = added(pl.concat(frames), "time").row(0, named=True)
    assert found["completeness"] == min(labels, key=LABELS.index)
    assert (found["long_usd"], found["coverage"], found["markets"]) == (
        len(labels),
        1,
        len(labels),
    )


def test_a_market_that_is_not_seen_lowers_coverage_and_label():
    seen = liquidations((0, "long", 100.0), (130, "long", 10.0), venue="okx")
    cut = liquidations((0, "long", 7.0), (130, "long", 1.0))
    found = added(totals(pl.concat([seen, cut]), gaps((60, 120)), HOUR), "time")
    assert found["long_usd"].to_list() == [107, 0, 11]
    assert found["coverage"].to_list() == [1, 0.5, 1]
    assert found["completeness"].to_list() == ["complete", "sampled", "complete"]


EVENTS = st.lists(
    st.tuples(st.integers(0, 600), st.sampled_from(["long", "short"]), st.floats(1, 1e9, width=32)),
    min_size=1,
    max_size=40,
)


@given(EVENTS, st.integers(0, 600))
def test_the_future_changes_nothing_before_it(events, cut):
    whole, now = liquidations(*events), START + cut * MINUTE
    # A feed may tell of a liquidation some minutes late.
    whole = whole.with_columns(known_at=pl.col("time") + pl.duration(minutes=pl.col("amount") % 9))
    broken = gaps((100, 180), (200, 210))
    known = totals(
        whole.filter(pl.col("known_at") <= now), broken.filter(pl.col("until") <= now), HOUR
    )
    settled = totals(whole, broken, HOUR).filter(pl.col("known_at") <= now)
    same = known.join(settled, on=("time", "exchange", "symbol"), how="semi")
    # What is told last ends the grid, so steps after it are only there once more is told.
    assert settled.filter(pl.col("time").is_in(known["time"].implode())).equals(same)


@given(EVENTS, st.floats(0.01, 100))
def test_dollars_scale_and_the_order_of_exchanges_does_not_matter(events, factor):
    half = len(events) // 2
    one, other = liquidations(*events[:half], venue="a"), liquidations(*events[half:], venue="b")
    whole = added(totals(pl.concat([one, other]), NONE, HOUR), "time")
    turned = added(totals(pl.concat([other, one]), NONE, HOUR), "time")
    assert whole.equals(turned)
    scaled = pl.concat([one, other]).with_columns(pl.col("amount") * factor)
    grown = added(totals(scaled, NONE, HOUR), "time")
    assert grown["long_usd"].to_list() == pytest.approx((whole["long_usd"] * factor).to_list())


def bounded(rows, bars, held, step=HOUR, every=MINUTE):
    most = forced.taken(totals(rows, NONE, every), bars, every)
    return forced.bounds(totals(rows, NONE, step), most, bars, held, step)


def test_aggressors_bound_what_a_throttled_feed_hides():
    """Minute 1 tells of a long, so all 900 sold then can have been forced; minute 2 of nothing."""
    rows = liquidations((1, "long", 100.0), label="throttled")
    bars = candles(*((n, 99.0, 101.0, 500, 900) for n in range(60)))
    found = bounded(rows, bars, interest())
    # Of minute 0, before the feed was first heard, nothing is known: 900 more.
    assert found["long_usd"].item() == 100
    assert found["long_most_usd"].item() == 60 * 900
    rows = liquidations(
        (0, "short", 1.0), (1, "long", 100.0), (59, "short", 1.0), label="throttled"
    )
    found = bounded(rows, bars, interest())
    assert found["long_most_usd"].item() == 3 * 900
    assert found["short_most_usd"].item() == 3 * 500


def test_what_opened_positions_closed_none():
    """1400 dollars were traded, and 8 more bitcoins stand open: at 100 at least, 800 of them."""
    rows = liquidations((0, "long", 100.0), label="unknown")
    bars = candles((0, 100.0, 101.0, 500, 900), seconds=3_600)
    found = bounded(rows, bars, interest((0, 50), (60, 58)), every=HOUR)
    assert found["long_most_usd"].item() == 1_400 - 800
    assert found["short_most_usd"].item() == 500
    assert found["open_interest_change_usd"].item() == 8 * 101


def test_a_complete_feed_tells_exactly_and_a_contradiction_bounds_nothing():
    bars = candles((0, 100.0, 101.0, 500, 90), seconds=3_600)
    exact = bounded(liquidations((0, "long", 80.0)), bars, interest(), every=HOUR)
    assert (exact["long_most_usd"].item(), exact["short_most_usd"].item()) == (80, 0)
    more = liquidations((0, "long", 100.0), label="throttled")  # than was sold at all
    assert bounded(more, bars, interest(), every=HOUR)["long_most_usd"].item() is None
    without = bounded(more, bars.clear(), interest(), every=HOUR)
    assert without["long_most_usd"].item() is None


def test_shares_are_those_that_were_published():
    """Open interest fell by 14bn with 1bn of longs closed by force: 93 % were not forced."""
    fell = pl.DataFrame(
        {
            "long_usd": [1e9],
            "short_usd": [0.0],
            "long_most_usd": [2e9],
            "short_most_usd": [0.0],
            "volume_usd": [128e9],
            "open_interest_change_usd": [-14e9],
        }
    )
    found = forced.shares(fell).row(0, named=True)
    assert round(1 - found["forced_share"], 2) == 0.93
    assert found["forced_share_most"] == pytest.approx(2 / 14)
    rose = forced.shares(fell.with_columns(-pl.col("open_interest_change_usd")))
    assert rose["forced_share"].item() is None


def test_a_price_alone_does_not_change_inverse_contracts():
    """A million dollars of contracts are 10 bitcoins at 100,000 and 20 at 50,000."""
    rows = TABLES["open_interest"].conform(
        pl.DataFrame(
            {
                "exchange": "x",
                "symbol": "BTC/USD:BTC",
                "time": [START, START + HOUR],
                "amount": [10.0, 20.0],
                "value_usd": [1e6, 1e6],
            },
            schema_overrides={"time": schema.TIME},
        )
    )
    assert forced.held(rows, HOUR, HOUR)["contracts"].to_list() == [0.0, None]
