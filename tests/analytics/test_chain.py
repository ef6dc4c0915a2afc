from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.chains import START, name, quotes

from plimsoll.analytics.chain import chain, dropped, named

HOUR = timedelta(hours=1)
FRESH = timedelta(hours=12)
CALL, PUT = name("260331", 65_000, "C"), name("260331", 65_000, "P")


def at(*hours: float) -> pl.Series:
    return pl.Series([START + one * HOUR for one in hours], dtype=pl.Datetime("us", "UTC"))


def test_a_symbol_tells_expiry_strike_and_kind():
    row = named(pl.Series([CALL, "BTC/USD:BTC", "BTC/USD:BTC-260331"])).row(0, named=True)
    assert named(pl.Series([CALL, "BTC/USD:BTC"])).height == 1
    assert row["expiry"] == datetime(2026, 3, 31, 8, tzinfo=UTC)
    assert (row["strike"], row["kind"], row["inverse"]) == (65_000.0, "call", True)
    assert row["family"] == "BTC/USD:BTC"
    linear = named(pl.Series(["BTC/USDT:USDT-260331-0.5-P"])).row(0, named=True)
    assert (linear["strike"], linear["kind"], linear["inverse"]) == (0.5, "put", False)


def test_greeks_and_premium_are_those_of_the_worked_example():
    """F 60,000, K 65,000, 30 days, 60 %: .0372978 coin, delta .352226, gamma 3.597078e-5."""
    now = datetime(2026, 3, 1, 8, tzinfo=UTC)
    rows = quotes(
        {"symbol": CALL, "underlying_price": 60_000.0, "mark_iv": 0.6, "mark_price": 0.0372978},
        time=now,
        index_price=59_900.0,
    )
    (row,) = chain(rows, at(0), FRESH).iter_rows(named=True)
    assert row["days"] == 30
    assert row["delta"] == pytest.approx(0.352226, abs=5e-7)
    assert row["gamma"] == pytest.approx(3.597078e-5, rel=1e-6)
    assert row["premium_usd"] == pytest.approx(0.0372978 * 59_900)
    assert row["forward_from"] == "stated"


def test_a_linear_premium_is_dollars_already():
    rows = quotes({"symbol": "BTC/USDT:USDT-260331-65000-C", "mark_price": 2_237.87})
    assert chain(rows, at(0), FRESH)["premium_usd"].to_list() == [2_237.87]


def test_a_forward_nobody_states_is_read_off_calls_and_puts():
    """c - p = 1 - K/F: .0372978 - .1206311 with K 65,000 is F 60,000."""
    rows = quotes(
        {"symbol": CALL, "mark_price": 0.0372978, "mark_iv": 0.6},
        {"symbol": PUT, "mark_price": 0.1206311, "mark_iv": 0.6},
        {"symbol": name("260424", 65_000, "C"), "mark_price": 0.05, "mark_iv": 0.6},
    )
    found = chain(rows, at(0), FRESH).sort("expiry", "kind")
    assert found["forward"].to_list() == [pytest.approx(60_000, abs=0.1)] * 2 + [None]
    assert found["forward_from"].to_list() == ["parity", "parity", None]
    assert found["delta"].to_list()[2] is None
    assert found["gamma"].to_list()[2] is None


def test_without_a_forward_the_exchange_s_delta_stands_and_gamma_is_unknown():
    rows = quotes({"symbol": CALL, "delta": 0.4, "mark_iv": 0.6})
    (row,) = chain(rows, at(0), FRESH).iter_rows(named=True)
    assert row["delta"] == 0.4
    assert [row[unknown] for unknown in ("gamma", "forward", "premium_usd")] == [None] * 3


def test_expired_options_are_out_from_the_moment_of_expiry():
    last = name("260301", 60_000, "C")
    early = quotes({"symbol": last, "open_interest": 1.0}, time=START - 2 * HOUR)
    counted = [chain(early, at(hour), FRESH).height for hour in (-2, -1, -0.001, 0, 1)]
    assert counted == [1, 1, 1, 0, 0]
    assert dropped(early, at(-1, 0), FRESH)["stale"].to_list() == [0, 0]


def test_an_expiry_within_the_hour_has_greeks_of_one_hour():
    soon = name("260301", 60_000, "C")
    rows = quotes(
        {"symbol": soon, "underlying_price": 60_000.0, "mark_iv": 0.6},
        time=START - timedelta(minutes=10),
    )
    (row,) = chain(rows, at(-0.1), FRESH).iter_rows(named=True)
    assert row["years"] == pytest.approx(1 / 24 / 365)
    assert row["delta"] == pytest.approx(0.5, abs=0.01)


def test_stale_quotes_are_left_out_and_counted():
    rows = quotes(
        {"symbol": CALL, "open_interest": 1.0},
        {"symbol": PUT, "open_interest": 2.0, "time": START + 10 * HOUR},
    )
    found = chain(rows, at(0, 12, 13, 22, 23), FRESH)
    symbols = found.group_by("at", maintain_order=True).agg("symbol")["symbol"].to_list()
    assert symbols == [[CALL], [CALL, PUT], [PUT], [PUT]]
    counts = dropped(rows, at(0, 12, 13, 22, 23), FRESH)
    assert counts["live"].to_list() == [1, 2, 1, 1, 0]
    assert counts["stale"].to_list() == [0, 0, 1, 1, 2]


def test_a_quote_counts_from_when_it_was_known_and_never_replaces_a_newer_one():
    rows = quotes(
        {"symbol": CALL, "open_interest": 1.0, "known_at": START + 2 * HOUR},
        {"symbol": CALL, "open_interest": 2.0, "time": START + HOUR, "known_at": START + HOUR},
    )
    found = chain(rows, at(0, 1, 2, 3), FRESH)
    assert found.select("at", "open_interest").rows() == [
        (START + hour * HOUR, 2.0) for hour in (1, 2, 3)
    ]


def test_nothing_gives_nothing():
    none = quotes()
    assert chain(none, at(0), FRESH).height == 0
    assert dropped(none, at(0), FRESH).rows() == [(START, 0, 0)]


SYMBOLS = [
    name(day, k, kind) for day in ("260303", "260331") for k in (60_000, 65_000) for kind in "CP"
]
QUOTE = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(SYMBOLS),
        "time": st.integers(0, 96).map(lambda hour: START + hour * HOUR),
        "open_interest": st.one_of(st.none(), st.integers(0, 9).map(float)),
        "mark_price": st.one_of(st.none(), st.floats(0, 0.5)),
        "underlying_price": st.one_of(st.none(), st.just(62_000.0)),
        "mark_iv": st.one_of(st.none(), st.floats(0.1, 2)),
    }
)


@given(st.lists(st.tuples(QUOTE, st.integers(0, 5)), max_size=25), st.integers(0, 100))
def test_cutting_off_the_future_changes_nothing_before_it(rows, cut):
    made = [{**row, "known_at": row["time"] + late * HOUR} for row, late in rows]
    whole, grid = quotes(*made), at(*range(cut + 1))
    past = whole.filter(pl.col("known_at") <= START + cut * HOUR)
    assert chain(whole, grid, FRESH).equals(chain(past, grid, FRESH))
    assert dropped(whole, grid, FRESH).equals(dropped(past, grid, FRESH))


@given(st.lists(QUOTE, max_size=25), st.integers(0, 100))
def test_a_moment_in_a_history_is_that_moment_alone(rows, hour):
    whole = quotes(*rows).unique(["symbol", "time"], keep="first")
    one = chain(whole, at(hour), FRESH)
    among = chain(whole, at(0, hour / 2, hour, 120), FRESH).filter(
        pl.col("at") == START + hour * HOUR
    )
    assert one.equals(among)
    assert dropped(whole, at(hour), FRESH)["live"].item() == one.height
