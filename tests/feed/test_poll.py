"""What is asked for again and again, and history, against a loopback exchange."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

import plimsoll
from fakes.server import Fake
from fakes.venues import START, VENUES
from plimsoll import backfill as filling
from plimsoll import doctor
from plimsoll.errors import NoSuchData, Rejected, Unsupported
from plimsoll.exchanges import exchange
from plimsoll.exchanges.base import Poll
from plimsoll.feed import rest
from plimsoll.feed.choice import choose, kinds_of, largest
from plimsoll.feed.health import Health
from plimsoll.feed.merge import gather
from plimsoll.feed.poll import _due, poll
from plimsoll.market.events import Event, Gap, OpenInterest
from plimsoll.net import retry
from plimsoll.net.http import Client
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

BYBIT = next(venue for venue in VENUES if venue.name == "bybit")
DAY = 86_400_000


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))


def run(play: Callable[[Fake, Client], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with Fake() as fake, Client(fake.address, tries=1) as client:
            BYBIT.prepare(fake)
            await play(fake, client)

    asyncio.run(whole())


def ticker(held: int, **rest_: Any) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "openInterest": str(held), "openInterestValue": str(held * 2)}
    return {"retCode": 0, "result": {"list": [row, {**row, "symbol": "NEW"}]}, **rest_}


async def some(feed: AsyncIterator[Event], count: int) -> list[Event]:
    found = []
    async with contextlib.aclosing(feed) as events:  # type: ignore[type-var]
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    return found


def test_a_poll_comes_at_whole_multiples_of_its_period() -> None:
    # 1,000,000,200 is 3,333,334 times 300: that bucket's end is told 20 seconds later.
    assert _due(300, 20, 1_000_000_200.0) == pytest.approx(20)
    assert _due(300, 20, 1_000_000_230.0) == pytest.approx(290)
    assert 0 < _due(60, 0, 1_000_000_020.0) <= 60


def test_a_poll_tells_each_fact_once_and_what_it_missed() -> None:
    async def play(fake: Fake, client: Client) -> None:
        answers = iter([ticker(1, time=START), ticker(1, time=START), ticker(2, time=START + 9)])
        last: dict[str, Any] = {}

        def answer(_query: dict[str, str], _body: bytes) -> Any:
            last.update(next(answers, last))
            return dict(last)

        fake.serve("tickers", answer)
        made = exchange("bybit")
        found = await rest.listed(client, made)
        request = made.polls("open_interest", found.listings)[0].request
        health = Health("x")
        since = {("open_interest", "BTC/USDT:USDT"): 1}
        feed = poll(
            client, made, Poll(request=request, every=0.05), found.listings, health, since=since
        )
        fake.status["tickers"] = [(503, {}), (200, {})]  # the second is no ticker: unreadable
        gap, first, second = await some(feed, 3)
        assert isinstance(gap, Gap)
        assert (gap.stream, gap.symbol, gap.time) == ("open_interest", "BTC/USDT:USDT", 1)
        assert isinstance(first, OpenInterest)
        assert isinstance(second, OpenInterest)
        assert [first.amount, second.amount] == [1, 2]
        assert (health.events, health.gaps, health.unreadable, health.state) == (2, 1, 1, "live")

    run(play)


def test_a_poll_that_is_refused_ends_and_says_why() -> None:
    async def play(fake: Fake, client: Client) -> None:
        made = exchange("bybit")
        found = await rest.listed(client, made)
        request = made.polls("open_interest", found.listings)[0].request
        fake.status["tickers"] = [(451, {})]
        health = Health("x")
        with pytest.raises(Rejected):
            await some(poll(client, made, Poll(request=request, every=0.01), [], health), 1)
        assert health.state == "refused"

    run(play)


def test_polls_and_their_gap_between_two_runs_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = exchange("bybit")
    plans = made.polls
    monkeypatch.setattr(
        type(made),
        "polls",
        lambda _self, kind, listings: [
            Poll(request=plan.request, every=0.3) for plan in plans(kind, listings)
        ],
    )

    async def play(fake: Fake, _client: Client) -> None:
        count = iter(range(1, 10_000))
        fake.serve("tickers", lambda _q, _b: ticker(n := next(count), time=START + n))
        for _ in range(2):
            told = Recording()
            session = plimsoll.open(tmp_path / "store")
            wanted = Wanted(exchange="bybit", symbols=("BTC",), kinds=("open_interest",))
            task = asyncio.ensure_future(
                session.record_exchanges([wanted], told, address=fake.address)
            )
            while told.kept < 5:
                await asyncio.wait({task}, timeout=0.05)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.3)

    run(play)
    session = plimsoll.open(tmp_path / "store")
    rows, gaps = session.read("open_interest", "BTC/USDT:USDT"), session.read("gap")
    assert rows.height + gaps.height >= 10  # five and five were kept
    # On a busy machine an answer may come late, which is a gap too.
    assert set(gaps["stream"]) == {"open_interest"}
    assert (gaps["until"] - gaps["time"]).dt.total_milliseconds().max() > 200
    assert session.audit().findings == []


def history(fake: Fake, first: int) -> None:
    """Serve funding every eight hours from a moment on, newest first."""

    def answer(query: dict[str, str], _body: bytes) -> Any:
        low, high = int(query["startTime"]), int(query["endTime"])
        times = [t for t in range(first, high + 1, DAY // 3) if t >= low]
        rows = [
            {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": str(t)}
            for t in sorted(times, reverse=True)[: int(query["limit"])]
        ]
        return {"retCode": 0, "result": {"list": rows}, "time": START}

    fake.serve("funding/history", answer)


def test_history_is_brought_once_and_says_how_far_it_goes(tmp_path: Path) -> None:
    first = START - 25 * DAY
    session = plimsoll.open(tmp_path / "store")
    told: list[tuple[str, int, int]] = []

    async def bring(fake: Fake) -> filling.Reached:
        (found,) = await session.backfill(
            "bybit",
            "BTC/USDT:USDT",
            ["funding"],
            since="2025-06-01",
            until="2026-01-01",
            address=fake.address,
            progress=lambda *words: told.append(words),
        )
        return found

    async def play(fake: Fake, _client: Client) -> None:
        history(fake, first)
        found = await bring(fake)
        assert found.rows == 75  # three a day, for 25 days
        assert found.oldest == first * 1_000_000
        assert "has nothing older (it keeps: all)" in found.why
        asked = len(fake.asked)
        again = await bring(fake)
        assert len(fake.asked) - asked < asked
        assert again.why

    run(play)
    rows = session.read("funding")
    assert rows.height == 75
    assert not rows["time"].is_duplicated().any()
    assert told[-1][1] == told[-1][2]
    assert session.audit().findings == []


def test_history_that_goes_in_circles_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = exchange("bybit")
    monkeypatch.setattr(type(made), "following", lambda _self, request, _payload: request)

    async def play(fake: Fake, client: Client) -> None:
        fake.serve("instruments-info", lambda _q, _b: {"retCode": 0, "result": {"list": []}})
        history(fake, START - DAY)
        listing = next(one for one in [*_listings()] if one.symbol == "BTC/USDT:USDT")
        with pytest.raises(plimsoll.errors.UnreadableMessage, match="one we had"):
            async for _ in rest.history(
                client, made, "funding", listing, (START - DAY) * 1_000_000, START * 1_000_000
            ):
                pass

    run(play)


def _listings() -> list[Any]:
    from plimsoll.exchanges.reading import Listing  # noqa: PLC0415
    from plimsoll.market.instrument import Instrument  # noqa: PLC0415

    made = Instrument(exchange="bybit", symbol="BTC/USDT:USDT")
    return [Listing(native="BTCUSDT", category="linear", instrument=made)]


def test_what_is_not_published_or_listed_is_named(tmp_path: Path) -> None:
    made = exchange("bybit")
    with pytest.raises(Unsupported, match="taker_volume is not published"):
        kinds_of(made, ["taker_volume"])
    assert "liquidation" in kinds_of(made, [])
    with pytest.raises(NoSuchData, match="nothing is listed for FOO"):
        choose(_listings(), ["FOO"])
    assert choose(_listings(), ["BTC"]) == choose(_listings(), []) == _listings()
    with pytest.raises(ValueError, match="unknown exchange 'bybitt'; known: binance"):
        exchange("bybitt")

    async def play(fake: Fake, _client: Client) -> None:
        session = plimsoll.open(tmp_path / "store")
        with pytest.raises(Unsupported, match="has no history"):
            await session.backfill("bybit", "BTC", ["liquidation"], address=fake.address)
        with pytest.raises(NoSuchData, match="nothing is listed for FOO"):
            await session.backfill("bybit", "FOO", ["funding"], address=fake.address)

    run(play)


def test_the_largest_are_chosen_by_open_interest() -> None:
    async def play(fake: Fake, client: Client) -> None:
        fake.serve("tickers", lambda _q, _b: ticker(5, time=START))
        made = exchange("bybit")
        found = await rest.listed(client, made)
        chosen = await largest(client, made, found.listings, 1)
        assert [one.symbol for one in chosen] == ["BTC/USDT:USDT"]

    run(play)


def test_streams_are_gathered_as_they_come_and_a_failure_is_heard() -> None:
    async def numbers(*times: int) -> AsyncIterator[Event]:
        for time in times:
            yield OpenInterest(exchange="x", symbol="y", time=time)

    async def fails() -> AsyncIterator[Event]:
        raise Rejected("x", "no", code="1")
        yield OpenInterest(exchange="x", symbol="y", time=1)

    async def whole() -> None:
        found = [event async for event in gather(numbers(1, 3), numbers(2), most=1)]
        assert sorted(event.time for event in found) == [1, 2, 3]
        with pytest.raises(Rejected):
            async for _ in gather(numbers(1), fails()):
                pass

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Thu, 01 Jan 1970 00:16:40 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("", None),
        ("tomorrow", None),
    ],
)
def test_the_doctor_reads_a_clock_that_leaves_out_fractions(date: str, ahead: float | None) -> None:
    assert doctor._offset(date, 1_000.5) == ahead  # noqa: SLF001


def test_the_doctor_says_which_hosts_answer(tmp_path: Path) -> None:
    async def play(fake: Fake, _client: Client) -> None:
        session = plimsoll.open(tmp_path / "store")
        (one,), (free, whole) = await session.doctor(["bybit"], address=fake.address)
        assert (one.ok, one.host, one.words) == (True, "api.bybit.com", "answers")
        assert abs(one.offset) < 3
        assert 0 < free <= whole
        fake.status["*"] = [(451, {})]
        (one,), _ = await session.doctor(["bybit"], address=fake.address)
        assert (one.ok, one.words) == (False, "does not serve this region (451)")
        (one,), _ = await session.doctor(["bybit"], address=lambda _url: "http://127.0.0.1:9/")
        assert not one.ok

    run(play)
