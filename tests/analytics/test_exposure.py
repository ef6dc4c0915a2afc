from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.chains import START, name, quotes, trades

from plimsoll.analytics import black
from plimsoll.analytics.chain import chain
from plimsoll.analytics.exposure import (
    Level,
    dollars,
    exposure,
    profile,
    taken,
    zero_gamma,
)

NOW = pl.Series([START], dtype=pl.Datetime("us", "UTC"))
HOUR = timedelta(hours=1)
CALL, PUT = name("260308", 60_000, "C"), name("260308", 60_000, "P")


def made(*rows: dict[str, object], forward: float | None = 60_000.0) -> pl.DataFrame:
    usual = {"underlying_price": forward, "index_price": 60_000.0, "mark_iv": 0.5}
    return chain(quotes(*rows, **usual), NOW, timedelta(days=1))


def opened(**coins: float) -> pl.DataFrame:
    symbols = {"call": CALL, "put": PUT}
    rows = [("deribit", symbols[kind], amount) for kind, amount in coins.items()]
    schema = {"exchange": pl.String, "symbol": pl.String, "opening": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_worked_example():
    """S = K = 60,000, 7 days, 50 %, 1,000 coins: gamma 9.596789e-5, 3,454,844 dollars."""
    gamma = black.gamma(60_000, 60_000, 7 / 365, 0.5)
    assert float(gamma) == pytest.approx(9.596789e-5, rel=5e-8)
    assert float(dollars(gamma, 1_000, 60_000)) == pytest.approx(3_454_844, abs=0.5)
    found = exposure(made({"symbol": CALL, "open_interest": 1_000.0})).row(0, named=True)
    assert found["unsigned_usd"] == pytest.approx(3_454_844, abs=0.5)
    assert found["naive_usd"] == found["unsigned_usd"]
    assert (found["taker_usd"], found["coverage"], found["taker_coverage"]) == (None, 1, 0)


def test_calls_count_for_dealers_and_puts_against_them():
    both = made({"symbol": CALL, "open_interest": 300.0}, {"symbol": PUT, "open_interest": 1_000.0})
    found = exposure(both).row(0, named=True)
    assert found["unsigned_usd"] == pytest.approx(1.3 * 3_454_844, rel=1e-6)
    assert found["naive_usd"] == pytest.approx(-0.7 * 3_454_844, rel=1e-6)


def test_dealers_stand_against_what_takers_did():
    whole = made({"symbol": CALL, "open_interest": 1_000.0}, {"symbol": PUT, "open_interest": 10.0})
    told = trades(
        {"symbol": CALL, "side": "buy", "amount": 900.0, "time": START - 3 * HOUR},
        {"symbol": CALL, "side": "sell", "amount": 100.0, "time": START - HOUR},
        {"symbol": CALL, "side": "buy", "amount": 9_000.0, "time": START + HOUR},
    )
    known = taken(whole, told, opened(call=200.0, put=0.0)).sort("kind")
    assert known["taken"].to_list() == [800, None]
    assert known["seen"].to_list() == [0.8, None]  # 200 of 1,000 stood there before
    found = exposure(known).row(0, named=True)
    assert found["taker_usd"] == pytest.approx(-0.8 * 3_454_844, rel=1e-6)
    assert found["taker_coverage"] == pytest.approx(1_000 / 1_010)


def test_blocks_are_not_taken_and_may_have_opened_what_has_come():
    whole = made({"symbol": CALL, "open_interest": 1_000.0})
    bought = {"symbol": CALL, "side": "buy", "time": START - HOUR}
    told = trades({**bought, "amount": 900.0}, {**bought, "amount": 100.0, "origin": "block"})
    known = taken(whole, told, opened(call=0.0))
    assert known["taken"].to_list() == [900]
    assert known["seen"].to_list() == [0.9]  # of the 1,000 that came a block may have opened 100
    legs = trades({**bought, "amount": 900.0, "origin": "combo"})  # whoever took all took each
    assert taken(whole, legs, opened(call=0.0))["taken"].to_list() == [900]
    most = trades(
        {**bought, "amount": 900.0, "origin": "screen"},
        {**bought, "amount": 5e3, "origin": "block"},
    )
    hidden = taken(whole, most, opened(call=0.0))
    assert hidden["seen"].to_list() == [0]
    assert exposure(hidden)["taker_usd"].to_list() == [None]


def test_open_interest_older_than_the_trades_is_not_explained():
    whole = made({"symbol": CALL, "open_interest": 1_000.0})
    told = trades({"symbol": CALL, "side": "buy", "amount": 5_000.0, "time": START - HOUR})
    old = taken(whole, told, opened(call=400.0))
    assert old["seen"].to_list() == [0.6]
    assert exposure(old)["taker_usd"].to_list() == [None]
    few = trades({"symbol": CALL, "side": "buy", "amount": 500.0, "time": START - HOUR})
    assert taken(whole, few, opened(call=0.0))["seen"].to_list() == [0.5]
    shrunk = taken(whole, told, opened(call=2_000.0))
    assert shrunk["seen"].to_list() == [0]


def test_gamma_nobody_knows_is_null_and_lowers_the_coverage():
    whole = made({"symbol": CALL, "open_interest": 1.0}, forward=None)
    found = exposure(whole).row(0, named=True)
    assert (found["unsigned_usd"], found["naive_usd"], found["coverage"]) == (None, None, 0)
    assert profile(whole).height == 0
    level = zero_gamma(profile(whole), "naive", 60_000, found["coverage"])
    assert level == Level(None, "no open interest has a gamma; 50 % is needed")


def symmetric() -> pl.DataFrame:
    """Puts below and calls above, with equal volatilities."""
    return made(
        {"symbol": name("260308", 55_000, "P"), "open_interest": 100.0},
        {"symbol": name("260308", 65_000, "C"), "open_interest": 100.0},
    )


def test_gamma_is_zero_where_puts_and_calls_weigh_the_same():
    r"""With F^2 Γ = F φ(d1)/(σ√T) both sums agree at d1 of one = - d1 of the other.

    ln(F/55,000) + v/2 = -(ln(F/65,000) + v/2), v = σ²T: F = sqrt(55,000 · 65,000) e^(-v/2).
    """
    whole = symmetric()
    found = zero_gamma(profile(whole), "naive", 60_000, 1.0)
    root = (55_000 * 65_000) ** 0.5 * 2.718281828459045 ** (-0.25 * 7 / 365 / 2)
    assert found.reason is None
    assert found.price == pytest.approx(root, rel=1e-5)


def test_a_profile_meets_the_exposure_at_the_present_price():
    whole = symmetric()
    now = profile(whole).row(120, named=True)
    assert now["price"] == pytest.approx(60_000)
    found = exposure(whole).row(0, named=True)
    assert now["naive_usd"] == pytest.approx(found["naive_usd"], rel=1e-9)
    assert now["unsigned_usd"] == pytest.approx(found["unsigned_usd"], rel=1e-9)


def test_volatility_moves_with_the_money():
    """Sticky delta: at F 66,000 a strike of 66,000 has the volatility that 60,000 has now."""
    rows = [
        {"symbol": name("260308", 55_000, "P"), "open_interest": 0.0, "mark_iv": 0.8},
        {"symbol": CALL, "open_interest": 0.0, "mark_iv": 0.5},
        {"symbol": name("260308", 66_000, "C"), "open_interest": 7.0, "mark_iv": 0.6},
    ]
    usual = {"underlying_price": 60_000.0, "index_price": 60_000.0}
    whole = chain(quotes(*rows, **usual), NOW, timedelta(days=1))
    moved = profile(whole)
    price, told = moved["price"].to_numpy(), moved["unsigned_usd"].to_numpy()
    near = int(abs(price - 66_000).argmin())
    assert price[near] == pytest.approx(66_000, rel=2e-3)
    gamma = black.gamma(66_000, 66_000, 7 / 365, 0.5)
    assert told[near] == pytest.approx(float(dollars(gamma, 7, 66_000)), rel=0.02)
    steep = float(dollars(black.gamma(66_000, 66_000, 7 / 365, 0.6), 7, 66_000))
    assert told[near] > 1.1 * steep


def test_no_level_is_made_up():
    calls = made({"symbol": CALL, "open_interest": 5.0})
    whole = profile(calls)
    level = zero_gamma(whole, "naive", 60_000, 1.0)
    assert level.price is None
    assert level.reason is not None
    assert level.reason.startswith("it keeps its sign from 37,500 to 96,000")
    few = zero_gamma(whole, "taker", 60_000, 0.2)
    assert few == Level(None, "20 % of open interest has trades that explain it; 50 % is needed")
    with pytest.raises(ValueError, match="no sum with a sign"):
        zero_gamma(whole, "unsigned", 60_000, 1.0)


def test_a_profile_is_of_one_moment():
    two = pl.concat([symmetric(), symmetric().with_columns(pl.col("at") + HOUR)])
    with pytest.raises(ValueError, match="of several"):
        profile(two)


@given(st.floats(0.1, 1_000), st.floats(0.5, 2.0))
def test_exposure_grows_with_amount_and_with_price(amount, scale):
    """Strike and forward scaled alike: gamma falls by the scale, dollars rise by it."""
    one = exposure(made({"symbol": CALL, "open_interest": amount})).row(0, named=True)
    assert one["unsigned_usd"] == pytest.approx(3_454.844 * amount, rel=1e-6)
    gamma = black.gamma(60_000 * scale, 60_000 * scale, 7 / 365, 0.5)
    assert float(dollars(gamma, amount, 60_000 * scale)) == pytest.approx(
        scale * one["unsigned_usd"], rel=1e-9
    )


ORIGINS = st.sampled_from([None, "screen", "combo", "block"])
DONE = st.tuples(st.booleans(), st.floats(0.1, 100), st.integers(-9, 9), ORIGINS)


@given(st.lists(DONE, max_size=20))
def test_what_takers_do_later_changes_nothing(done):
    whole = made({"symbol": CALL, "open_interest": 1_000.0})
    rows = [
        {
            "symbol": CALL,
            "side": "buy" if bought else "sell",
            "amount": amount,
            "time": START + hour * HOUR,
            "origin": origin,
        }
        for bought, amount, hour, origin in done
    ]
    told = trades(*rows)
    past = told.filter(pl.col("known_at") <= START)
    assert taken(whole, told, opened(call=0.0)).equals(taken(whole, past, opened(call=0.0)))


@given(st.lists(DONE, min_size=1, max_size=20), st.floats(0, 1_000))
def test_no_more_is_explained_by_marking_a_trade_as_a_block(done, before):
    whole = made({"symbol": CALL, "open_interest": 1_000.0})
    side = {True: "buy", False: "sell"}
    rows = [
        {"symbol": CALL, "side": side[bought], "amount": amount, "time": START, "origin": origin}
        for bought, amount, _, origin in done
    ]
    marked = [{**rows[0], "origin": "block"}, *rows[1:]]
    seen = [taken(whole, trades(*one), opened(call=before))["seen"][0] for one in (rows, marked)]
    assert seen[1] <= seen[0] <= 1
    alone = [{**row, "origin": "block"} for row in rows]
    assert taken(whole, trades(*alone), opened(call=before))["taken"].to_list() == [0]
