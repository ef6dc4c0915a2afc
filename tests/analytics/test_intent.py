from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from tests.fakes.chains import START, name, quotes, trades

from plimsoll.analytics.intent import INTENTS, arranged, intents, shares

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FAR_PUT, FAR_CALL = name("260626", 50_000, "P"), name("260626", 70_000, "C")
NEAR_PUT, NEAR_CALL = name("260308", 55_000, "P"), name("260308", 65_000, "C")


def around(symbol: str, delta: float | None, before: float | None, after: float | None):
    """Return quotes an hour before and after `START`; an open interest of -1 is none at all."""
    return [
        {"symbol": symbol, "delta": delta, "open_interest": amount, "time": START + hours * HOUR}
        for hours, amount in ((-1, before), (1, after))
        if amount != -1
    ]


@pytest.mark.parametrize(
    ("symbol", "side", "delta", "after", "intent"),
    [
        (FAR_PUT, "buy", -0.15, 12.0, "hedge"),
        (FAR_PUT, "buy", -0.15, 10.0, "ambiguous"),  # nothing was opened
        (FAR_PUT, "buy", -0.45, 12.0, "ambiguous"),  # near the money: a view, or a hedge
        (FAR_PUT, "buy", -0.02, 12.0, "ambiguous"),
        (FAR_PUT, "buy", None, 12.0, "ambiguous"),
        (FAR_PUT, "sell", -0.15, 12.0, "ambiguous"),  # put selling
        (NEAR_PUT, "buy", -0.15, 12.0, "ambiguous"),  # under 30 days
        (NEAR_CALL, "buy", 0.2, 12.0, "speculation"),
        (NEAR_CALL, "buy", 0.2, 10.0, "speculation"),
        (FAR_CALL, "buy", 0.2, 12.0, "ambiguous"),  # over 14 days
        (NEAR_CALL, "sell", 0.2, 12.0, "overwriting"),
        (FAR_CALL, "sell", 0.2, 12.0, "overwriting"),
        (NEAR_CALL, "sell", 0.2, 9.0, "closing"),
        (FAR_PUT, "buy", -0.15, 9.0, "closing"),
    ],
)
def test_each_trade_is_told_by_side_delta_tenor_and_what_was_opened(
    symbol, side, delta, after, intent
):
    told = intents(
        trades({"symbol": symbol, "side": side, "amount": 2.0}),
        quotes(*around(symbol, delta, 10.0, after)),
        DAY,
    ).row(0, named=True)
    assert told["intent"] == intent
    assert told["opened"] == after - 10


def test_a_trade_without_quotes_near_it_is_told_by_its_side_alone():
    told = trades(
        {"symbol": FAR_PUT, "side": "buy", "amount": 2.0},
        {"symbol": NEAR_CALL, "side": "sell", "amount": 2.0},
    )
    far = quotes(*around(FAR_PUT, -0.15, 10.0, 12.0)).with_columns(pl.col("time") - 9 * DAY)
    found = intents(told, far, DAY)
    assert found["intent"].to_list() == ["ambiguous", "overwriting"]
    assert found["opened"].to_list() == found["delta"].to_list() == [None, None]
    assert shares(found)["coverage"].unique().to_list() == [0]


def test_delta_is_computed_where_it_is_not_stated():
    rows = around(FAR_PUT, None, 10.0, 12.0)
    told = intents(
        trades({"symbol": FAR_PUT, "side": "buy", "amount": 2.0}),
        quotes(*rows, underlying_price=60_000.0, mark_iv=0.5),
        DAY,
    ).row(0, named=True)
    # d1 = (ln 1.2 + .125·T)/(.5 √T), T = 117/365: .785478; N(d1) - 1.
    assert told["delta"] == pytest.approx(-0.21609, abs=1e-4)
    assert told["intent"] == "hedge"


def test_an_option_first_quoted_after_its_trade_takes_that_quote_s_delta():
    told = intents(
        trades({"symbol": NEAR_CALL, "side": "buy", "amount": 1.0}),
        quotes(*around(NEAR_CALL, 0.2, -1, 5.0)),
        DAY,
    ).row(0, named=True)
    assert (told["delta"], told["opened"], told["intent"]) == (0.2, None, "speculation")


def test_shares_are_of_the_amount_and_add_up():
    quoted = [*around(FAR_PUT, -0.15, 10.0, 16.0), *around(NEAR_CALL, 0.2, 10.0, 10.0)]
    told = trades(
        {"symbol": FAR_PUT, "side": "buy", "amount": 6.0},
        {"symbol": NEAR_CALL, "side": "buy", "amount": 1.0},
        {"symbol": NEAR_CALL, "side": "sell", "amount": 3.0},
    )
    found = shares(intents(told, quotes(*quoted), DAY))
    assert found["intent"].to_list() == list(INTENTS)
    assert found["share"].to_list() == pytest.approx([0.6, 0.1, 0.3, 0, 0, 0, 0])
    assert found["trades"].to_list() == [1, 1, 1, 0, 0, 0, 0]
    assert found["most"].to_list() == [*found["share"][:3], *[None] * 4]
    assert found["coverage"].unique().to_list() == [1]


def test_all_that_is_ambiguous_might_be_of_any_reason():
    told = trades(
        {"symbol": NEAR_CALL, "side": "sell", "amount": 3.0},
        {"symbol": FAR_PUT, "side": "sell", "amount": 1.0},
    )
    found = shares(intents(told, quotes(), DAY))
    assert found["share"].to_list() == [0, 0, 0.75, 0, 0.25, 0, 0]
    assert found["most"].to_list() == [0.25, 0.25, 1, *[None] * 4]


def test_where_nothing_was_traded_nothing_is_shared():
    found = shares(intents(trades(), quotes(), DAY))
    assert found["share"].to_list() == [None] * 7
    assert found["coverage"].to_list() == [None] * 7


def test_blocks_and_legs_of_combinations_are_for_no_reason_that_can_be_told():
    quoted = [*around(NEAR_CALL, 0.2, 10.0, 12.0), *around(FAR_PUT, -0.15, 10.0, 9.0)]
    told = trades(
        {"symbol": NEAR_CALL, "side": "buy", "amount": 4.0, "origin": "screen"},
        {"symbol": NEAR_CALL, "side": "buy", "amount": 3.0, "origin": "block"},
        {"symbol": FAR_PUT, "side": "buy", "amount": 2.0, "origin": "block"},  # it was closing
        {"symbol": NEAR_CALL, "side": "buy", "amount": 1.0, "origin": "combo"},
        {"symbol": NEAR_CALL, "side": "buy", "amount": 10.0},  # not told: taken to be of the book
    )
    found = intents(told, quotes(*quoted), DAY)
    by_number = dict(found.select("id", "intent").iter_rows())
    assert [by_number[n] for n in range(5)] == [
        "speculation",
        "block",
        "block",
        "combination",
        "speculation",
    ]
    shared = {row["intent"]: row for row in shares(found).iter_rows(named=True)}
    assert shared["block"]["share"] == pytest.approx(5 / 20)
    assert shared["combination"]["share"] == pytest.approx(1 / 20)
    assert shared["speculation"]["share"] == pytest.approx(14 / 20)
    # Six of the twenty coins might be of any reason.
    assert shared["hedge"]["most"] == pytest.approx(6 / 20)
    assert shared["speculation"]["most"] == 1


def test_the_share_of_blocks_is_of_what_is_told():
    told = trades(
        {"symbol": FAR_CALL, "side": "buy", "amount": 1.0, "origin": "screen"},
        {"symbol": FAR_CALL, "side": "sell", "amount": 2.0, "origin": "block"},
        {"symbol": FAR_CALL, "side": "sell", "amount": 1.0, "origin": "combo"},
        {"symbol": FAR_CALL, "side": "sell", "amount": 4.0},
    )
    assert arranged(told) == {"block": 0.5, "combo": 0.25, "told": 0.5}
    assert arranged(told[3:]) == {"block": None, "combo": None, "told": 0}  # unknown is not none
    assert arranged(told[:0]) == {"block": None, "combo": None, "told": None}
