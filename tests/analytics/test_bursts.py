"""Bursts of liquidations: what is usual by hand, when one begins, and nothing of the future."""

import json
import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.bursts import Rule, bursts, normal, path
from plimsoll.market import schema
from plimsoll.market.schema import TABLES

START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NONE = pl.DataFrame(schema=TABLES["gap"].schema)
DAYS = 4


def liquidations(rows, label="throttled", venue="binance"):
    """Rows of (time, side, dollars)."""
    return TABLES["liquidation"].conform(
        pl.DataFrame(
            {
                "exchange": venue,
                "symbol": "BTC/USDT:USDT",
                "time": [time for time, _, _ in rows],
                "side": [side for _, side, _ in rows],
                "price": 100.0,
                "amount": 1.0,
                "value_usd": [float(usd) for _, _, usd in rows],
                "price_kind": "fill",
                "completeness": label,
            },
            schema_overrides={"time": schema.TIME, "value_usd": pl.Float64},
        )
    )


def quiet(usd=60.0, days=DAYS):
    """An order of so many dollars at the half of every hour."""
    return [(START + n * HOUR + 30 * MINUTE, "long", usd) for n in range(24 * days)]


CRASH = START + 3 * DAY + 10 * MINUTE


def crash():
    return [(CRASH + n * MINUTE, "long", usd) for n, usd in enumerate((5, 40, 900, 500, 80))]


def hours(values):
    return pl.DataFrame(
        {"time": [START + n * HOUR for n in range(len(values))], "usd": values},
        schema_overrides={"usd": pl.Float64},
    )


def test_what_is_usual_is_the_median_of_the_same_hour_of_the_week():
    """Four Mondays at midnight saw 10, 30, 20 and 1000: 25 are usual on the fifth."""
    values = [1.0] * (24 * 7 * 4 + 1)
    for week, usd in enumerate((10, 30, 20, 1000)):
        values[24 * 7 * week] = usd
    last = normal(hours(values), 0.99).row(-1, named=True)
    assert (last["usual"], last["usual_of"]) == (25, "hour of the week")


def test_with_less_history_the_hour_of_the_day_is_usual_and_then_all_hours():
    values = [5.0 if n % 24 == 0 else 1.0 for n in range(24 * 7 + 1)]
    found = normal(hours(values), 0.99)
    assert found.row(-1)[2:4] == (5, "hour of the day")
    assert found.row(24 * 3)[2:4] == (1, "all hours")
    assert found.row(47)[2:4] == (None, None)


def test_where_most_hours_are_empty_the_mean_is_usual():
    values = [48.0 if n == 3 else 0.0 for n in range(49)]
    assert normal(hours(values), 0.99).row(-1)[2:4] == (1, "mean")
    assert normal(hours([0.0] * 49), 0.99).row(-1)[2:4] == (None, None)


def test_hours_that_were_not_seen_are_not_usual_ones():
    holed = hours([None if n % 5 == 0 else 4.0 for n in range(61)])
    assert normal(holed, 0.9).row(-1)[2:] == (4, "all hours", 4)


def test_a_burst_is_told_from_its_start_to_its_end():
    """60 dollars an hour are usual, one a minute; within ten minutes come 945 by the third."""
    found = bursts(liquidations(quiet() + crash()), NONE)
    assert found.height == 1
    row = found.row(0, named=True)
    assert row["start"] == CRASH
    assert row["known_at"] == CRASH + 3 * MINUTE
    assert (row["until"], row["minutes"]) == (CRASH + 5 * MINUTE, 5)
    assert row["closed_at"] == CRASH + 15 * MINUTE
    assert (row["long_usd"], row["short_usd"], row["side"], row["count"]) == (1525, 0, "long", 5)
    assert (row["usual"], row["usual_of"]) == (1, "all hours")
    assert (row["multiple"], row["peak"]) == (305, 900)
    assert row["completeness"] == "throttled"


def test_many_times_the_usual_is_no_burst_where_it_is_not_rare():
    """Every tenth hour brings a thousand at once: 1 hour of 100 must not be enough."""
    rows = quiet() + [(START + n * HOUR + 5 * MINUTE, "short", 1_000) for n in range(0, 96, 10)]
    assert bursts(liquidations(rows), NONE).height == 0
    assert bursts(liquidations(rows), NONE, rule=Rule(rare=0.5)).height > 0


def test_a_burst_at_the_end_may_go_on():
    rows = [row for row in quiet() if row[0] < CRASH] + crash()
    found = bursts(liquidations(rows), NONE).row(0, named=True)
    assert (found["start"], found["closed_at"]) == (CRASH, None)


def test_a_long_pause_parts_two_bursts():
    later = [(time + 20 * MINUTE, side, usd) for time, side, usd in crash()]
    found = bursts(liquidations(quiet() + crash() + later), NONE)
    assert found["start"].to_list() == [CRASH, CRASH + 20 * MINUTE]


def test_nothing_is_a_burst_without_history_or_liquidations():
    assert bursts(liquidations([]), NONE).height == 0
    assert bursts(liquidations(crash()), NONE).height == 0


@pytest.mark.parametrize(
    ("every", "rule"),
    [
        (7 * MINUTE, None),
        (MINUTE, Rule(start=2.0)),
        (MINUTE, Rule(rare=1.0)),
        (HOUR, Rule(pause=MINUTE)),
    ],
)
def test_rules_that_make_no_sense_are_refused(every, rule):
    with pytest.raises(ValueError, match="a step is|a burst"):
        bursts(liquidations(quiet()), NONE, every, rule)


def test_a_feed_that_was_cut_off_does_not_make_the_rest_a_burst():
    """Half of the hours were not seen: they count neither as usual nor as nothing."""
    cut = TABLES["gap"].conform(
        pl.DataFrame(
            {
                "exchange": "binance",
                "symbol": "BTC/USDT:USDT",
                "stream": "liquidation",
                "time": [START + 6 * HOUR],
                "until": [START + 30 * HOUR],
                "reason": "",
            },
            schema_overrides={"time": schema.TIME, "until": schema.TIME},
        )
    )
    seen = [row for row in quiet() if not START + 6 * HOUR <= row[0] < START + 30 * HOUR]
    found = bursts(liquidations(seen + crash()), cut).row(0, named=True)
    assert (found["usual"], found["multiple"]) == (1, 305)


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 24 * 60 * DAYS - 1), st.sampled_from(["long", "short"]), st.integers(1, 9)
    ),
    max_size=30,
)


def drawn(events):
    more = [(START + minute * MINUTE, side, 10.0**usd) for minute, side, usd in events]
    return quiet() + crash() + more


@given(EVENTS, st.integers(1, 24 * 60 * DAYS))
def test_the_future_changes_no_burst_that_is_over(events, cut):
    now, rows = START + cut * MINUTE, liquidations(drawn(events))
    late = pl.duration(seconds=pl.col("value_usd") % 90)
    rows = rows.with_columns(known_at=pl.col("time") + late)
    whole = bursts(rows, NONE)
    known = bursts(rows.filter(pl.col("known_at") < now), NONE)
    over = known.filter(pl.col("closed_at").is_not_null())
    told = pl.col("start").is_in(over["start"].implode())
    assert over.equals(whole.filter((pl.col("closed_at") <= now) & told))
    # What was a burst by then has begun at the same time and was known at the same time.
    begun = whole.filter(pl.col("known_at") <= now).select("start", "known_at")
    assert known.select("start", "known_at").equals(begun)


@given(EVENTS, st.floats(0.01, 1e4))
def test_a_burst_is_one_in_any_currency(events, factor):
    rows = liquidations(drawn(events))
    scaled = bursts(rows.with_columns(pl.col("value_usd") * factor), NONE)
    found = bursts(rows, NONE)
    assert abs(scaled.height - found.height) <= 1  # a sum may lie on the threshold itself
    if scaled.height == found.height:
        assert scaled["start"].equals(found["start"])
        assert all(map(math.isclose, scaled["multiple"], found["multiple"]))


@given(EVENTS)
def test_which_exchange_told_it_does_not_matter(events):
    rows = drawn(events)
    half = len(rows) // 2
    one, other = liquidations(rows[:half], venue="a"), liquidations(rows[half:], venue="b")
    found, turned = (bursts(pl.concat(parts), NONE) for parts in ((one, other), (other, one)))
    assert found.equals(turned)


@pytest.mark.real
def test_the_crash_of_2025_10_10_on_hyperliquid_is_one_burst(real):
    """Counts of forced orders each six seconds or so, beside one a minute in days before."""
    told = json.loads((real / "hyperliquid_2025-10-10" / "cascade_timing_results.json").read_text())
    begin = datetime.fromisoformat(told["event_start"])
    counts = [
        (begin + timedelta(seconds=row["second"]), "long", row["liquidations"])
        for row in told["timeline"]
    ]
    past = [(begin - n * HOUR, "long", 60.0) for n in range(1, 24 * DAYS)]
    later = [(begin + HOUR, "long", 60.0)]
    found = bursts(liquidations(past + counts + later), NONE)
    row = found.row(0, named=True)
    assert found.height == 1
    assert row["start"] == datetime(2025, 10, 10, 21, 15, tzinfo=UTC)
    assert row["until"] <= datetime(2025, 10, 10, 21, 28, tzinfo=UTC)
    assert row["long_usd"] == pytest.approx(63_637, rel=1e-3)  # as its publisher counts them
    assert row["known_at"] <= row["start"] + 2 * MINUTE


def candles(closes, first=CRASH - 10 * MINUTE):
    return TABLES["candle"].conform(
        pl.DataFrame(
            [
                {
                    "exchange": "binance",
                    "symbol": "BTC/USDT:USDT",
                    "time": first + n * MINUTE,
                    "interval": 60,
                    "open": close,
                    "high": close,
                    "low": close,
                    "close": close,
                }
                for n, close in enumerate(closes)
            ],
            schema_overrides={"time": schema.TIME},
        )
    )


def test_the_path_begins_at_the_last_price_known():
    """The minute that ends with the third of the burst closes at 90, ten under the one before."""
    found = bursts(liquidations(quiet() + crash()), NONE)
    closes = [100.0] * 12 + [90.0] * 5 + [99.0] * 20
    row = path(found, candles(closes)).row(0, named=True)
    assert row["price"] == 90
    assert row["move"] == pytest.approx(-0.1)
    assert row["after_5m"] == pytest.approx(0.1)
    assert row["after_15m"] == pytest.approx(0.1)
    assert row["after_1h"] is None


def test_without_a_price_the_path_is_unknown():
    found = bursts(liquidations(quiet() + crash()), NONE)
    bare = path(found, candles([1.0]).clear())
    assert bare["price"].item() is None
    stale = path(found, candles([100.0] * 5))
    assert (stale["price"].item(), stale["move"].item()) == (None, None)
