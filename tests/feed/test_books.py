"""Order books recorded from loopback exchanges: what was missed is a gap, and the rest is right."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

import plimsoll
from fakes.books import STREAMS, Stream
from fakes.server import Fake
from fakes.venues import VENUES
from plimsoll.exchanges import books, exchange
from plimsoll.feed import connection
from plimsoll.net import retry
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import polars as pl

START = 1_767_225_600_000
STEP = books.EVERY // 1_000_000
BY_NAME = {venue.name: venue for venue in VENUES}


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect, and have books anew, at once."""
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))
    monkeypatch.setattr(connection, "RENEWAL", 0.0)


class Market:
    """A market whose book changes, and an exchange that streams it."""

    def __init__(self, stream: Stream, fake: Fake, seed: int = 7) -> None:
        self.stream, self.fake = stream, fake
        self.draw = random.Random(seed)
        self.number = 1
        self.bids = {89_999.0 - n: self.size(89_999.0 - n) for n in range(30)}
        self.asks = {90_001.0 + n: self.size(90_001.0 + n) for n in range(30)}
        self.tells_snapshots = True

    def size(self, price: float) -> float:
        """Some coins, in the exchange's unit."""
        coins = self.draw.randrange(1, 500) / 100
        return coins * (self.stream.coin or price)

    @property
    def time(self) -> int:
        return START + self.number * STEP

    def prepare(self) -> None:
        venue = BY_NAME[self.stream.name]
        venue.prepare(self.fake)
        self.fake.greeting = self.greet
        if self.stream.path:
            self.fake.serve(self.stream.path, lambda _query, _body: self.snapshot())

    def greet(self, sent: Any) -> list[Any]:
        replies = BY_NAME[self.stream.name].greeting(sent)
        is_new = "unsub" not in str(sent).lower() and "subscribe" in str(sent).lower()
        if is_new and self.tells_snapshots and not self.stream.path:
            replies = [*replies, self.snapshot()]
        return replies

    def snapshot(self) -> Any:
        sides = list(self.bids.items()), list(self.asks.items())
        return self.stream.snapshot(self.number, self.time, *sides)

    def move(self) -> list[Any]:
        """Change the book, and return the messages that say how."""
        self.number += 1
        changes = []
        for side in (self.bids, self.asks):
            price = self.draw.choice(sorted(side)[5:25])
            size = self.draw.choice([0.0, self.size(price)]) if len(side) > 25 else self.size(price)
            changes.append([(price, size)])
            if size:
                side[price] = size
            else:
                del side[price]
        return self.stream.changes(self.number, self.time, *changes)

    def best(self, side: str, most: int) -> list[tuple[float, float]]:
        """The best levels, in coins."""
        levels = self.bids if side == "bid" else self.asks
        prices = sorted(levels, reverse=side == "bid")[:most]
        return [(p, pytest.approx(levels[p] / (self.stream.coin or p))) for p in prices]


@contextlib.asynccontextmanager
async def recorded(fake: Fake, root: Path, name: str) -> AsyncIterator[Recording]:
    told = Recording()
    wanted = Wanted(exchange=name, symbols=("BTC",), kinds=books.KINDS)
    task = asyncio.ensure_future(
        plimsoll.open(root).record_exchanges([wanted], told, address=fake.address)
    )
    try:
        await until(lambda: task.done() or (bool(told.health) and told.health[0].state == "live"))
        yield told
        await asyncio.sleep(0.3)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(what: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        await asyncio.sleep(0.01)


def run(stream: Stream, play: Callable[[Market], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with Fake() as fake:
            market = Market(stream, fake)
            market.prepare()
            await play(market)

    asyncio.run(whole())


def levels(root: Path) -> pl.DataFrame:
    return plimsoll.open(root).read("book_level")


def at(rows: pl.DataFrame, millis: int, side: str) -> list[tuple[float, float]]:
    """The levels told of one moment."""
    found = rows.filter((rows["time"].dt.epoch("ms") == millis) & (rows["side"] == side))
    return list(found.sort("level").select("price", "amount").iter_rows())


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_message_that_is_missing_is_a_gap_and_the_book_is_right_after(
    stream: Stream, tmp_path: Path
) -> None:
    truth: dict[int, dict[str, list[tuple[float, float]]]] = {}
    missed: list[int] = []

    rows_each = 40 + 12 * stream.is_whole

    async def play(market: Market) -> None:
        async with recorded(market.fake, tmp_path / "store", stream.name) as told:
            for n in range(30):
                messages = market.move() if n else []  # the snapshot is there already
                if n == 10:
                    missed.append(market.time)
                    continue  # lost on the way
                for message in messages:
                    await market.fake.send(message)
                # After the one that follows the lost one, a snapshot says the same.
                truth[market.time] = {side: market.best(side, 20) for side in ("bid", "ask")}
                await until(lambda: told.health[0].events >= rows_each * len(truth))
            assert told.health[0].gaps == len(books.KINDS)
        assert (told.health[0].unreadable, told.health[0].reconnects) == (0, 0)

    run(stream, play)
    rows = levels(tmp_path / "store")
    assert set(rows["time"].dt.epoch("ms")) == set(truth)
    for millis, sides in truth.items():
        assert {side: at(rows, millis, side) for side in sides} == sides
        assert at(rows, millis, "bid")[0][0] < at(rows, millis, "ask")[0][0]
    session = plimsoll.open(tmp_path / "store")
    gaps = session.read("gap")
    assert sorted(gaps["stream"]) == sorted(books.KINDS)
    assert set(gaps["symbol"]) == set(rows["symbol"])
    assert gaps["reason"].str.contains("book of").all()
    assert session.audit().findings == []


BINANCE = next(stream for stream in STREAMS if stream.name == "binance")


def test_a_snapshot_that_cannot_be_read_is_asked_for_again(tmp_path: Path) -> None:
    wrong: list[Any] = [{"lastUpdateId": 1}, [], {"code": -1, "msg": "busy"}]

    async def play(market: Market) -> None:
        fake = market.fake
        fake.serve("depth", lambda _query, _body: wrong.pop() if wrong else market.snapshot())
        async with recorded(fake, tmp_path / "store", "binance") as told:
            await until(lambda: told.kept >= 52)
            assert (told.health[0].unreadable, told.health[0].reconnects) == (3, 0)

    run(BINANCE, play)
    kinds = plimsoll.open(tmp_path / "store").status()["kind"]
    assert set(kinds) == set(books.KINDS)  # and no gap: nothing was known before


def test_a_book_that_nobody_asked_for_changes_nothing(tmp_path: Path) -> None:
    async def play(market: Market) -> None:
        async with recorded(market.fake, tmp_path / "store", "bybit") as told:
            for message in market.move():
                await market.fake.send({**message, "topic": message["topic"].replace("BTC", "ETH")})
            before = told.kept
            for message in market.move():
                await market.fake.send(message)
            await until(lambda: told.kept > before)
            assert told.health[0].reconnects == 0

    run(next(stream for stream in STREAMS if stream.name == "bybit"), play)


def test_a_snapshot_that_is_refused_is_a_problem_told(tmp_path: Path) -> None:
    async def play(market: Market) -> None:
        market.fake.status["depth"] = [(400, {})]
        async with recorded(market.fake, tmp_path / "store", "binance") as told:
            await until(lambda: not market.fake.status["depth"])
            for message in market.move():
                await market.fake.send(message)
            await until(lambda: "refused" in told.health[0].problem)
            assert (told.kept, told.health[0].reconnects) == (0, 0)

    run(BINANCE, play)


@pytest.mark.parametrize("name", ["bybit", "binance"])
def test_a_connection_that_grew_old_is_replaced_without_a_gap(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(exchange(name)), "longest", 0.5)
    stream = next(stream for stream in STREAMS if stream.name == name)
    truth: dict[int, dict[str, list[tuple[float, float]]]] = {}

    async def play(market: Market) -> None:
        async with recorded(market.fake, tmp_path / "store", name) as told:
            await until(lambda: told.kept >= 40)
            while market.fake.opened < 4:
                for message in market.move():
                    await market.fake.send(message)
                truth[market.time] = {side: market.best(side, 20) for side in ("bid", "ask")}
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            assert (told.health[0].gaps, told.health[0].reconnects) == (0, 0)

    run(stream, play)
    rows = levels(tmp_path / "store")
    for millis, sides in truth.items():
        assert {side: at(rows, millis, side) for side in sides} == sides
    assert plimsoll.open(tmp_path / "store").audit().findings == []


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_book_that_does_not_come_again_ends_the_connection_and_the_gap_goes_on(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER", 0.5)
    moments: list[int] = []
    rows_each = 40 + 12 * stream.is_whole

    async def play(market: Market) -> None:
        async with recorded(market.fake, tmp_path / "store", stream.name) as told:
            await until(lambda: told.health[0].events >= rows_each)
            market.tells_snapshots = False
            market.fake.status[stream.path or "none"] = [(503, {})] * 1_000
            market.move()
            moments.append(time.time_ns())
            for message in market.move():
                await market.fake.send(message)
            await until(lambda: market.fake.opened >= 2)
            moments.append(time.time_ns())
            market.tells_snapshots = True
            market.fake.status.clear()
            market.fake.reset()
            await until(lambda: told.health[0].events >= 2 * rows_each)
            await until(lambda: told.kept >= 2 * rows_each + told.health[0].gaps)

    run(stream, play)
    gaps = plimsoll.open(tmp_path / "store").read("gap")
    lost = gaps.filter(gaps["reason"].str.contains("book of"))
    assert sorted(lost["stream"]) == sorted(books.KINDS)
    assert (lost["time"].dt.epoch("ns") <= moments[0]).all()
    assert (lost["until"].dt.epoch("ns") >= moments[1]).all()
