"""Rows page by page: each once, in order, whatever the size of a page."""

from __future__ import annotations

import base64

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.server.paging import page, recent
from plimsoll.server.service import Service, Settings


def pages(session, kind: str, limit: int, **given: object) -> list[pl.DataFrame]:
    span, cursor, found = Service(session, Settings()).span(kind, given), None, []
    while True:
        answer = page(session, kind, given, stored=span, limit=limit, cursor=cursor)
        found.append(pl.DataFrame(dict(answer.columns)))
        cursor = answer.facts["next"]
        if cursor is None:
            return found


def by_time(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    return frame.sort("time", *TABLES[kind].key[:2], *TABLES[kind].key[3:])


@settings(max_examples=15)
@given(limit=st.integers(40, 3_000), kind=st.sampled_from(["liquidation", "funding"]))
def test_pages_hold_each_row_once_in_order(simulated, limit: int, kind: str) -> None:
    found = pages(simulated, kind, limit)
    assert [len(one) for one in found[:-1]] == [limit] * (len(found) - 1)
    assert pl.concat(found).equals(by_time(simulated.read(kind), kind))


def test_pages_of_a_span_and_an_exchange_hold_no_more_than_it(simulated) -> None:
    given = {
        "symbol": "SOL/USDT:USDT",
        "exchange": ["sim-a"],
        "since": "2025-01-02T03:00Z",
        "until": "2025-01-03",
    }
    asked = dict(given)
    whole = simulated.read("open_interest", asked.pop("symbol"), **asked)
    found = pages(simulated, "open_interest", 7, **given)
    assert pl.concat(found).equals(by_time(whole, "open_interest"))
    assert whole.height == 21 * 12  # every five minutes


def test_rows_of_one_moment_are_split_between_pages(simulated) -> None:
    rows = simulated.read("open_interest", since="2025-01-02", until="2025-01-02T00:05Z")
    assert rows["time"].n_unique() == 1
    assert rows.height > 2
    found = pages(simulated, "open_interest", 1, since="2025-01-02", until="2025-01-02T00:05Z")
    assert len(found) == rows.height
    assert pl.concat(found).equals(by_time(rows, "open_interest"))


def test_the_last_rows_are_the_last(simulated) -> None:
    span = Service(simulated, Settings()).span("liquidation", {})
    last = recent(simulated, "liquidation", {}, span, 77)
    assert last.equals(by_time(simulated.read("liquidation"), "liquidation").tail(77))
    few = recent(simulated, "liquidation", {}, span, 10**7)
    assert few.height == simulated.read("liquidation").height


def coded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


NO_CURSORS = ["", "x", "%%%", "é", "=" * 80, coded('["2025-01-01",0]'), coded("null")]
NO_CURSORS += [coded('["2025-01-01T00:00:00Z",-1]'), coded('["2025-01-01T00:00:00",1]')]


@pytest.mark.parametrize("cursor", NO_CURSORS)
def test_a_cursor_nobody_gave_is_refused(simulated, cursor: str) -> None:
    span = Service(simulated, Settings()).span("funding", {})
    with pytest.raises(ValueError, match="is no cursor"):
        page(simulated, "funding", {}, stored=span, limit=5, cursor=cursor)


def test_what_is_not_stored_is_said(simulated) -> None:
    with pytest.raises(NoSuchData, match="nothing stored for stablecoin_supply"):
        pages(simulated, "stablecoin_supply", 5)
