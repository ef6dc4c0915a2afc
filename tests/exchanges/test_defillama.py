"""DefiLlama: answers in the shape its public API documents, and the rows they must become.

No recorded answer is at hand. The numbers are made up; each expected value is computed by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import plimsoll
from fakes.server import Fake
from plimsoll import doctor
from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges import exchange
from plimsoll.exchanges.base import Poll
from plimsoll.market.events import OpenInterestTotal, StablecoinSupply
from plimsoll.recording import Recording, Wanted
from plimsoll.store.catalogue import Catalogue
from plimsoll.store.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.exchanges.reading import Listing

LLAMA = exchange("defillama")
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
NEW_YEAR = 1_767_225_600  # 2026-01-01 00:00 UTC, seconds
RECEIVED = (NEW_YEAR + 3 * 86_400 + 7_200) * SECOND  # 2026-01-04 02:00
COINS: dict[str, Any] = {
    "peggedAssets": [
        {
            "id": "1",
            "name": "Tether",
            "symbol": "USDT",
            "gecko_id": "tether",
            "pegType": "peggedUSD",
            "pegMechanism": "fiat-backed",
            "circulating": {"peggedUSD": 180_000_000_000},
            "circulatingPrevDay": {"peggedUSD": 179_000_000_000},
            "chainCirculating": {"Tron": {"current": {"peggedUSD": 80_000_000_000}}},
            "chains": ["Tron"],
            "price": 0.9995,
        },
        {"id": "50", "symbol": "EURC", "circulating": {"peggedEUR": 400_000_000}, "price": 1.1},
        # One without a price has no dollars, and two share a symbol.
        {"id": "90", "symbol": "USDx", "circulating": {"peggedUSD": 5}, "price": None},
        {"id": "123", "symbol": "USDX", "circulating": {"peggedUSD": 1_000}, "price": 1},
        {"id": "124", "symbol": "GONE", "circulating": {}, "price": 1},
    ]
}
PROTOCOLS: dict[str, Any] = {
    "protocols": [
        {
            "defillamaId": "5507",
            "name": "Hyperliquid Perps",
            "displayName": "Hyperliquid Perps",
            "slug": "hyperliquid-perps",
            "category": "Derivatives",
            "chains": ["Hyperliquid L1"],
            "total24h": 9_000_000_000.5,
            "change_1d": 1.5,
        },
        {"name": "Quiet", "slug": "quiet", "category": "Derivatives", "total24h": None},
        {"name": "tradeXYZ", "slug": "tradexyz", "category": "Interface", "total24h": 7},
        {"name": "Polymarket", "slug": "polymarket", "category": "Prediction Market"},
    ],
    "total24h": 9_000_000_007.5,
}


def days(**sums: list[float | None]) -> list[dict[str, Any]]:
    """A chart of supply: a row for each day since New Year, dates as text."""
    (peg, values) = next(iter(sums.items()))
    return [
        {
            "date": str(NEW_YEAR + n * 86_400),
            "totalCirculating": {peg: 1},
            "totalCirculatingUSD": {} if value is None else {peg: value},
        }
        for n, value in enumerate(values)
    ]


def read(answer: Any, request: Any, listings: list[Listing] | None = None) -> list[Any]:
    return LLAMA.decoder(listings or []).read(json.dumps(answer).encode(), RECEIVED, request)


def listed() -> list[Listing]:
    coins, protocols = LLAMA.instruments()
    return [*read(COINS, coins), *read(PROTOCOLS, protocols)]


def one(symbol: str) -> Listing:
    return next(listing for listing in listed() if listing.symbol == symbol)


def test_coins_and_protocols_are_listed_and_are_no_markets() -> None:
    found = listed()
    assert [(each.category, each.native, each.symbol) for each in found] == [
        ("total", "TOTAL", "TOTAL"),
        ("stablecoin", "1", "USDT"),
        ("stablecoin", "50", "EURC"),
        ("stablecoin", "90", "USDX"),
        ("stablecoin", "123", "USDX-123"),
        ("stablecoin", "124", "GONE"),
        ("protocol", "Hyperliquid Perps", "hyperliquid-perps"),
        ("protocol", "Quiet", "quiet"),
    ]
    assert not any(each.is_market for each in found)
    assert [each.coin for each in found][:2] == ["TOTAL", "USDT"]


def test_what_circulates_now_is_told_in_dollars_at_our_clock() -> None:
    plan, total = LLAMA.polls("stablecoin_supply", listed())
    assert total.request.about["native"] == "TOTAL"
    found = read(COINS, plan.request, listed())
    same = {"exchange": "defillama", "time": RECEIVED, "received": RECEIVED}
    assert found == [
        StablecoinSupply(**same, symbol="USDT", supply_usd=180_000_000_000 * 0.9995),
        StablecoinSupply(**same, symbol="EURC", supply_usd=400_000_000 * 1.1),
        StablecoinSupply(**same, symbol="USDX-123", supply_usd=1_000),
    ]


def test_a_day_of_supply_is_known_when_it_is_over() -> None:
    request = LLAMA.history("stablecoin_supply", one("USDT"), 0, RECEIVED)
    assert request.query == {"stablecoin": "1"}
    # The second day has no dollars, and the fourth still runs at 02:00 of it.
    found = read(days(peggedUSD=[10.5, None, 12, 13]), request, [one("USDT")])
    start = NEW_YEAR * SECOND
    assert [(each.symbol, each.time, each.known_at, each.supply_usd) for each in found] == [
        ("USDT", start, start + DAY, 10.5),
        ("USDT", start + 2 * DAY, start + 3 * DAY, 12),
    ]


def test_the_total_is_of_all_pegs_and_a_poll_reads_the_last_days() -> None:
    chart = days(peggedUSD=[100, 200, 300])
    chart[1]["totalCirculatingUSD"]["peggedEUR"] = 5.5
    chart.insert(0, {"date": str(NEW_YEAR - 30 * 86_400), "totalCirculatingUSD": {"peggedUSD": 1}})
    _, plan = LLAMA.polls("stablecoin_supply", listed())
    found = read(chart, plan.request, [one("TOTAL")])
    assert [(each.time // SECOND - NEW_YEAR, each.supply_usd) for each in found] == [
        (0, 100),
        (86_400, 205.5),
        (172_800, 300),
    ]
    assert {each.known_at for each in found} == {RECEIVED}
    request = LLAMA.history("stablecoin_supply", one("TOTAL"), 0, RECEIVED)
    assert request.query == {}
    assert len(read(chart, request, [one("TOTAL")])) == 4


def test_open_interest_of_a_protocol_is_read_and_unknown_is_not_zero() -> None:
    (plan,) = LLAMA.polls("open_interest_total", listed())
    assert read(PROTOCOLS, plan.request, listed()) == [
        OpenInterestTotal(
            exchange="defillama",
            symbol="hyperliquid-perps",
            time=RECEIVED,
            received=RECEIVED,
            open_interest_usd=9_000_000_000.5,
        )
    ]


def test_a_day_of_open_interest_is_that_of_its_end() -> None:
    request = LLAMA.history("open_interest_total", one("hyperliquid-perps"), 0, RECEIVED)
    assert "excludeTotalDataChartBreakdown" not in request.query
    held = [{"Hyperliquid Perps": 5, "Aster": 1}, {"Aster": 2}, {"Hyperliquid Perps": 7}]
    answer = {
        "totalDataChartBreakdown": [
            [NEW_YEAR + n * 86_400, row]
            for n, row in enumerate([*held, {"Hyperliquid Perps": 8}])  # the last still runs
        ]
    }
    found = read(answer, request, [one("hyperliquid-perps")])
    start = NEW_YEAR * SECOND
    assert [(each.time, each.known_at, each.open_interest_usd) for each in found] == [
        (start + DAY, start + DAY, 5),
        (start + 3 * DAY, start + 3 * DAY, 7),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"circulating": {"peggedUSD": -1}},
        {"circulating": {"peggedUSD": "many"}},
        {"price": "dear"},
    ],
)
def test_what_cannot_be_is_unreadable(change: dict[str, Any]) -> None:
    plan, _ = LLAMA.polls("stablecoin_supply", listed())
    broken = {"peggedAssets": [{**COINS["peggedAssets"][0], **change}]}
    with pytest.raises(UnreadableMessage):
        read(broken, plan.request, listed())


def test_what_is_not_published_is_said() -> None:
    with pytest.raises(Unsupported, match="open_interest cannot be asked for"):
        LLAMA.polls("open_interest", listed())
    with pytest.raises(Unsupported, match="open_interest_total of USDT is not published"):
        LLAMA.history("open_interest_total", one("USDT"), 0, RECEIVED)


def speaking(fake: Fake) -> None:
    fake.serve("/stablecoins", lambda _q, _b: COINS)
    whole = {**PROTOCOLS, "totalDataChartBreakdown": []}
    fake.serve("/overview/open-interest", lambda _q, _b: whole)
    fake.serve("/stablecoincharts/all", lambda _q, _b: days(peggedUSD=[100, 200, 300]))


def test_answers_are_recorded_as_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = type(LLAMA).polls
    monkeypatch.setattr(
        type(LLAMA),
        "polls",
        lambda self, kind, listings: [
            Poll(request=plan.request, every=0.05) for plan in plans(self, kind, listings)
        ],
    )

    async def play() -> Recording:
        async with Fake() as fake:
            speaking(fake)
            told = Recording()
            session = plimsoll.open(tmp_path / "store")
            task = asyncio.ensure_future(
                session.record_exchanges([Wanted(exchange="defillama")], told, address=fake.address)
            )
            while told.kept < 4:
                await asyncio.wait({task}, timeout=0.05)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return told

    told = asyncio.run(play())
    assert told.problems == []
    session = plimsoll.open(tmp_path / "store")
    supply = session.read("stablecoin_supply")
    assert set(supply["symbol"]) == {"USDT", "EURC", "USDX-123"}  # the days are of long ago
    assert (supply["known_at"] == supply["received"]).all()
    assert set(session.read("open_interest_total")["symbol"]) == {"hyperliquid-perps"}
    assert session.audit().findings == []
    assert Catalogue(Layout(tmp_path / "store")).instrument("defillama", "USDT") is None


def test_history_is_brought_by_one_request(tmp_path: Path) -> None:
    session = plimsoll.open(tmp_path / "store")

    async def play() -> list[Any]:
        async with Fake() as fake:
            speaking(fake)
            bring = {"since": "2025-01-01", "until": "2026-03-01", "address": fake.address}
            for _ in range(2):
                reached = await session.backfill(
                    "defillama", "TOTAL", ["stablecoin_supply"], **bring
                )
            assert sum("stablecoincharts" in path for path in fake.asked) == 2
            assert all(
                found.ok for found in await doctor.examine(["defillama"], address=fake.address)
            )
            return reached

    (reached,) = asyncio.run(play())
    assert (reached.rows, reached.oldest) == (3, NEW_YEAR * SECOND)
    rows = session.read("stablecoin_supply", "TOTAL")
    assert rows.select("time", "known_at", "supply_usd").rows() == [
        (datetime(2026, 1, day, tzinfo=UTC), datetime(2026, 1, day + 1, tzinfo=UTC), day * 100.0)
        for day in (1, 2, 3)
    ]
