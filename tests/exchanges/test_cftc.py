"""The CFTC's public reporting API: rows in its own columns, and the commitments they must become.

The report is that on Bitcoin futures of 2026-01-06 in the API's columns (all numbers are text);
its numbers are made up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import plimsoll
from fakes.server import Fake
from plimsoll import doctor
from plimsoll.archives import cftc as files
from plimsoll.archives.source import LINE, Source
from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges import exchange
from plimsoll.exchanges.base import Poll
from plimsoll.feed.choice import choose
from plimsoll.feed.health import Health
from plimsoll.feed.poll import poll
from plimsoll.market.events import Commitment
from plimsoll.net.http import Client
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.exchanges.reading import Listing

CFTC = exchange("cftc")
TUESDAY = datetime(2026, 1, 6, tzinfo=UTC)
FRIDAY = datetime(2026, 1, 9, 20, 30, tzinfo=UTC)  # 15:30 in New York
RECEIVED = 1_768_000_000_123_456_000


def nanos(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000_000


def report(**changes: str) -> dict[str, str]:
    row = {
        "id": "260106133741F",
        "market_and_exchange_names": "BITCOIN - CHICAGO MERCANTILE EXCHANGE",
        "report_date_as_yyyy_mm_dd": "2026-01-06T00:00:00.000",
        "contract_market_name": "BITCOIN",
        "cftc_contract_market_code": "133741",
        "open_interest_all": "100",
        "dealer_positions_long_all": "10",
        "dealer_positions_short_all": "20",
        "dealer_positions_spread_all": "5",
        "asset_mgr_positions_long": "15",
        "asset_mgr_positions_short": "1",
        "asset_mgr_positions_spread": "2",
        "lev_money_positions_long": "25",
        "lev_money_positions_short": "50",
        "lev_money_positions_spread": "3",
        "other_rept_positions_long": "11",
        "other_rept_positions_short": "4",
        "other_rept_positions_spread": "1",
        "tot_rept_positions_long_all": "72",
        "nonrept_positions_long_all": "28",
        "nonrept_positions_short_all": "14",
        "change_in_open_interest_all": "-3",
        "contract_units": "(5 Bitcoins)",
        "cftc_subgroup_code": "F85",
        "futonly_or_combined": "FutOnly",
    }
    return {**row, **changes}


MICRO = report(
    market_and_exchange_names="MICRO BITCOIN - CHICAGO MERCANTILE EXCHANGE",
    cftc_contract_market_code="133742",
    contract_units="(Bitcoin X $0.10)",
)
NANO = report(
    market_and_exchange_names="Nano Bitcoin  - COINBASE DERIVATIVES, LLC",
    cftc_contract_market_code="133LM1",
    contract_units="(1/100 X Bitcoin = $300)",
)
STRANGE = report(
    market_and_exchange_names="MICRO DOGWIFHAT - CHICAGO MERCANTILE EXCHANGE",
    cftc_contract_market_code="176999",
)
EXPECTED = [
    ("dealer", 10, 20, 5),
    ("asset_manager", 15, 1, 2),
    ("leveraged_funds", 25, 50, 3),
    ("other_reportable", 11, 4, 1),
    ("nonreportable", 28, 14, None),
]


def read(rows: Any, request: Any, listings: list[Listing] | None = None) -> list[Any]:
    return CFTC.decoder(listings or []).read(json.dumps(rows).encode(), RECEIVED, request)


def listed() -> list[Listing]:
    (request,) = CFTC.instruments()
    return read([report(), MICRO, NANO, STRANGE, report()], request)


def test_each_market_is_listed_once_with_its_size_and_the_unknown_is_not() -> None:
    assert [
        (one.native, one.category, one.symbol, float(one.instrument.contract_size))
        for one in listed()
    ] == [
        ("133741", "cme", "BTC/USD:USD", 5.0),
        ("133742", "cme", "BTC/USD:USD", 0.1),
        ("133LM1", "coinbase", "BTC/USD:USD", 0.01),
    ]
    assert choose(listed(), ["BTC"]) == listed()
    assert [one.native for one in choose(listed(), ["133742"])] == ["133742"]


def test_a_report_becomes_one_commitment_for_each_category() -> None:
    (plan,) = CFTC.polls("commitment", listed())
    assert read([report(), STRANGE], plan.request, listed()) == [
        Commitment(
            exchange="cme",
            symbol="BTC/USD:USD",
            time=nanos(TUESDAY),
            received=RECEIVED,
            known_at=nanos(FRIDAY),
            market="133741",
            category=category,  # type: ignore[arg-type]
            long=long,
            short=short,
            spread=spread,
            open_interest=100,
            contract_size=5,
        )
        for category, long, short, spread in EXPECTED
    ]


def test_its_files_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "cot.csv"
    row = report()
    words = [",".join(row), ",".join(f'"{text}"' for text in row.values()), ""]
    path.write_text("\n".join(words))
    ((kind, frame),) = files.read(Source(path))
    (plan,) = CFTC.polls("commitment", listed())
    told = read([row], plan.request, listed())
    assert kind == "commitment"
    columns = ["exchange", "symbol", "market", "category", "long", "short", "spread"]
    columns += ["open_interest", "contract_size"]
    assert frame.drop(LINE).select(columns).rows() == [
        tuple(getattr(event, name) for name in columns) for event in told
    ]
    known = frame["known_at"].dt.epoch("us") * 1_000
    assert known.to_list() == [event.known_at for event in told]


def test_what_is_left_out_is_null_or_unreadable() -> None:
    (plan,) = CFTC.polls("commitment", listed())
    bare = report()
    del bare["contract_units"]
    assert {event.contract_size for event in read([bare], plan.request, listed())} == {None}
    for name in ("open_interest_all", "lev_money_positions_long", "market_and_exchange_names"):
        broken = report()
        del broken[name]
        with pytest.raises(UnreadableMessage):
            read([broken], plan.request, listed())


@pytest.mark.parametrize(
    "change",
    [
        {"futonly_or_combined": "Combined"},
        {"open_interest_all": "many"},
        {"open_interest_all": "-1"},
        {"report_date_as_yyyy_mm_dd": "soon"},
    ],
)
def test_what_cannot_be_is_unreadable(change: dict[str, str]) -> None:
    (plan,) = CFTC.polls("commitment", listed())
    with pytest.raises(UnreadableMessage):
        read([report(**change)], plan.request, listed())


def test_history_is_asked_for_by_market_and_day() -> None:
    request = CFTC.history("commitment", listed()[1], nanos(TUESDAY), nanos(FRIDAY))
    assert request.query["$where"] == (
        "cftc_contract_market_code = '133742' AND "
        "report_date_as_yyyy_mm_dd >= '2026-01-06T00:00:00' AND "
        "report_date_as_yyyy_mm_dd < '2026-01-09T20:30:00'"
    )
    with pytest.raises(Unsupported):
        CFTC.history("open_interest", listed()[0], 0, 1)


def test_what_was_missed_is_a_gap_of_each_exchange_that_is_reported_on() -> None:
    (plan,) = CFTC.polls("commitment", listed())
    often = Poll(request=plan.request, every=0.05)

    async def play() -> list[tuple[str, str, str]]:
        async with Fake() as fake, Client(fake.address) as client:
            fake.serve("/resource/gpe5-46if.json", lambda _q, _b: [])
            since = {("commitment", "BTC/USD:USD"): nanos(TUESDAY)}
            feed = poll(client, CFTC, often, listed(), Health("x"), since=since)
            gaps = [await anext(feed), await anext(feed)]
            await feed.aclose()
            return [(gap.exchange, gap.symbol, gap.stream) for gap in gaps]

    assert asyncio.run(play()) == [
        ("cme", "BTC/USD:USD", "commitment"),
        ("coinbase", "BTC/USD:USD", "commitment"),
    ]


def test_reports_are_recorded_brought_and_kept_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = type(CFTC).polls
    monkeypatch.setattr(
        type(CFTC),
        "polls",
        lambda self, kind, listings: [
            Poll(request=plan.request, every=0.05) for plan in plans(self, kind, listings)
        ],
    )
    session = plimsoll.open(tmp_path / "store")

    def answer(query: dict[str, str], _body: bytes) -> Any:
        rows = [report(), MICRO, NANO]
        named = [row for row in rows if row["cftc_contract_market_code"] in query["$where"]]
        return named or rows

    async def play() -> tuple[Recording, list[Any]]:
        async with Fake() as fake:
            fake.serve("/resource/gpe5-46if.json", answer)
            told = Recording()
            wanted = Wanted(exchange="cftc", symbols=("BTC",))
            task = asyncio.ensure_future(
                session.record_exchanges([wanted], told, address=fake.address)
            )
            while told.kept < 15:
                await asyncio.wait({task}, timeout=0.05)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            reached = await session.backfill(
                "cftc", "BTC", since="2020-01-01", until="2026-02-01", address=fake.address
            )
            (host,) = await doctor.examine(["cftc"], address=fake.address)
            assert host.ok
            return told, reached

    told, reached = asyncio.run(play())
    assert told.problems == []
    assert [one.rows for one in reached] == [5, 5, 5]
    rows = session.read("commitment")
    assert rows.group_by("exchange", "market").len().sort("market").rows() == [
        ("cme", "133741", 5),
        ("cme", "133742", 5),
        ("coinbase", "133LM1", 5),
    ]
    assert rows["known_at"].unique().to_list() == [FRIDAY]
    assert rows["time"].unique().to_list() == [TUESDAY]
    assert rows.filter(pl.col("category") == "dealer")["short"].unique().to_list() == [20]
    early = session.read("commitment", as_of=datetime(2026, 1, 9, 20, 29, tzinfo=UTC))
    assert early.is_empty()
    assert session.audit().findings == []
