"""The stream over a real socket: what is told, and what bad clients cannot do to the others."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import polars as pl
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import plimsoll
from fakes.client import stream
from plimsoll.market.events import Liquidation
from plimsoll.market.schema import TABLES, rows
from plimsoll.server.hub import Hub
from plimsoll.server.problems import Problem
from plimsoll.server.running import Running
from plimsoll.server.service import Limits
from plimsoll.server.topics import Subject
from plimsoll.store import appended
from plimsoll.store.layout import Layout
from plimsoll.store.tail import Tail
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from plimsoll.session import Session

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
START = time.time_ns()


def liquidation(number: int, symbol: str = BTC, exchange: str = "here") -> Liquidation:
    when = START + number * 1_000_000
    return Liquidation(
        exchange=exchange,
        symbol=symbol,
        time=when,
        received=when,
        known_at=when,
        side="long",
        price=1.0 + number,
        amount=1.0,
        price_kind="fill",
        completeness="complete",
    )


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A store that holds three liquidations."""
    opened = plimsoll.open(tmp_path / "store")
    with Writer(opened.path) as writer:
        writer.append([liquidation(number) for number in range(3)])
        writer.seal()
    return opened


@asynccontextmanager
async def served(session: Session, **limits: int) -> AsyncIterator[str]:
    running = Running(session, limits=Limits(**limits))
    serving = asyncio.ensure_future(running.serve())
    async with httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(f"{running.url}healthz")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
    try:
        yield running.url
    finally:
        running.stop()
        await serving


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 120))  # type: ignore[arg-type]


def prices(message: dict) -> list[float]:
    return message["columns"]["price"]


def test_a_snapshot_comes_first_and_then_what_is_stored_each_row_once(session: Session) -> None:
    async def work() -> None:
        async with served(session) as url, stream(url) as heard:
            await heard.say("subscribe", "liquidation", BTC)
            snapshot = await heard.hear("snapshot")
            assert (snapshot["symbol"], snapshot["exchange"], snapshot["seq"]) == (BTC, None, 0)
            assert prices(snapshot) == [1, 2, 3]
            with Writer(session.path) as writer:
                for number in range(3, 40):
                    writer.append([liquidation(number), liquidation(number, ETH)])
                    if number % 10 == 0:
                        writer.settle()  # the segment is gone before it is looked at
                    await asyncio.sleep(0.01)
            told: list[float] = []
            sequence = 0
            while len(told) < 37:
                delta = await heard.hear("delta")
                sequence += 1
                assert delta["seq"] == sequence
                assert set(delta["columns"]["symbol"]) == {BTC}
                told += prices(delta)
            assert told == [float(number + 1) for number in range(3, 40)]
            async with stream(url) as late:
                await late.say("subscribe", "liquidation", BTC)
                snapshot = await late.hear("snapshot")
                assert snapshot["seq"] == sequence
                assert prices(snapshot) == [float(number) for number in range(1, 41)]

    run(work)


def test_rows_that_come_while_subscriptions_begin_are_told_once(session: Session) -> None:
    end = 100_000

    async def work() -> None:
        async with served(session) as url:
            stop = asyncio.Event()

            def write() -> int:
                number = 3
                with Writer(session.path) as writer:
                    while not stop.is_set():
                        writer.append([liquidation(number)])
                        number += 1
                        time.sleep(0.002)
                    writer.append([liquidation(end)])
                return number

            async def listen(wait: float) -> list[float]:
                await asyncio.sleep(wait)
                async with stream(url) as heard:
                    await heard.say("subscribe", "liquidation", BTC)
                    told = prices(await heard.hear("snapshot"))
                    while told[-1] != end + 1:
                        told += prices(await heard.hear("delta"))
                    return told

            writing = asyncio.ensure_future(asyncio.to_thread(write))
            listening = [asyncio.ensure_future(listen(0.13 * n)) for n in range(6)]
            await asyncio.sleep(1.5)
            stop.set()
            last = await writing
            for told in await asyncio.gather(*listening):
                *rows, _ = told
                assert rows == [rows[0] + number for number in range(len(rows))]
                assert rows[-1] == last

    run(work)


def test_which_series_grew_is_told_and_that_files_came(session: Session, tmp_path: Path) -> None:
    async def work() -> None:
        async with served(session) as url, stream(url) as heard:
            await heard.say("subscribe", "store")
            assert (await heard.hear("snapshot"))["columns"]["kind"] == []
            with Writer(session.path) as writer:
                writer.append([liquidation(3), liquidation(4), liquidation(5, ETH)])
                grew = (await heard.hear("delta"))["columns"]
                while not grew["kind"]:
                    grew = (await heard.hear("delta"))["columns"]
                assert grew["symbol"] == [BTC, ETH]
                assert grew["rows"] == [2, 1]
                assert grew["last"][0].startswith("20")
            file = tmp_path / "my_funding.csv"
            file.write_text(
                "time,exchange,symbol,rate,interval_hours\n"
                f"2026-01-01T00:00:00+00:00,here,{BTC},0.0001,8\n"
            )
            await asyncio.sleep(0.5)
            heard.heard.clear()
            await asyncio.to_thread(session.import_files, [file])
            assert (await heard.hear("delta"))["columns"]["kind"] == []

    run(work)


def test_an_unsubscribed_client_is_told_no_more(session: Session) -> None:
    async def work() -> None:
        async with served(session) as url, stream(url) as heard:
            await heard.say("subscribe", "liquidation", BTC, exchange="here")
            await heard.hear("snapshot")
            await heard.say("unsubscribe", "liquidation", BTC, exchange="here")
            await heard.hear("unsubscribed")
            with Writer(session.path) as writer:
                writer.append([liquidation(9)])
            await heard.say("subscribe", "liquidation", BTC, exchange="elsewhere")
            assert prices(await heard.hear("snapshot")) == []
            assert [m for m in heard.heard if m["type"] == "delta"] == []

    run(work)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            '{"op": "subscribe", "channel": "liquidations"}',
            "no channel 'liquidations'; known: store",
        ),
        ('{"op": "subscribe", "channel": "trade", "symbol": "<script>"}', "write BASE/QUOTE"),
        ('{"op": "subscribe", "channel": "trade", "symbol": ""}', "1 to 80 letters"),
        ('{"op": "subscribe", "channel": "store", "symbol": "A/B"}', "leave them out"),
        ('{"op": "listen", "channel": "trade"}', "'listen'"),
        ('{"op": "subscribe", "channel": "trade", "symbl": "A/B"}', "symbl"),
        ('{"op": "subscribe", "channel": 7}', "Expected `str`"),
        ('{"op": "unsubscribe", "channel": "trade"}', "not subscribed"),
        ("[" * 10_000, "send {"),
        ("", "send {"),
        ("null", "send {"),
    ],
)
def test_what_cannot_be_read_is_answered_and_the_rest_goes_on(
    session: Session, message: str, words: str
) -> None:
    async def work() -> None:
        async with served(session) as url, stream(url) as heard:
            await heard.socket.send(message)
            assert words in (await heard.hear("error"))["detail"]
            await heard.socket.send(b"\x00\xff")
            assert "send {" in (await heard.hear("error"))["detail"]
            await heard.say("subscribe", "liquidation", BTC)
            assert prices(await heard.hear("snapshot")) == [1, 2, 3]
            await heard.say("subscribe", "liquidation", BTC)
            assert "already" in (await heard.hear("error"))["detail"]

    run(work)


def test_more_subscriptions_than_allowed_are_refused(session: Session) -> None:
    async def work() -> None:
        async with served(session, subscriptions=5) as url, stream(url) as heard:
            for number in range(6):
                await heard.say("subscribe", "trade", f"C{number}/USDT:USDT")
            refused = await heard.hear("error")
            assert refused["symbol"] == "C5/USDT:USDT"
            assert "at most 5 subscriptions" in refused["detail"]

    run(work)


def test_ten_thousand_subscriptions_end_it_and_others_hear_on(session: Session) -> None:
    async def work() -> None:
        async with served(session) as url, stream(url) as good:
            await good.say("subscribe", "liquidation", BTC)
            await good.hear("snapshot")
            async with stream(url) as bad:
                with suppress(ConnectionClosed):
                    for number in range(10_000):
                        await bad.say("subscribe", "trade", f"C{number}/USDT:USDT")
                assert await bad.closed() == (1008, "at most 20 messages a second")
            with Writer(session.path) as writer:
                writer.append([liquidation(7)])
                assert prices(await good.hear("delta")) == [8]
            metrics = (await asyncio.to_thread(httpx.get, f"{url}metrics")).text
            assert "plimsoll_server_subjects 1\n" in metrics

    run(work)


def test_a_message_too_large_ends_the_connection(session: Session) -> None:
    async def work() -> None:
        async with served(session, frame=4_096) as url, stream(url) as heard:
            await heard.socket.send("x" * 5_000)
            assert (await heard.closed())[0] == 1009

    run(work)


def handshake(url: str) -> socket.socket:
    """Open a stream by hand that will never read what it hears."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    deaf = socket.create_connection((host, int(port)))
    deaf.sendall(
        f"GET /api/v1/stream HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert deaf.recv(1_024).startswith(b"HTTP/1.1 101")
    body = json.dumps({"op": "subscribe", "channel": "liquidation"}).encode()
    deaf.sendall(struct.pack("!BB4x", 0x81, 0x80 | len(body)) + body)  # a mask of zeros
    return deaf


def test_a_client_that_never_reads_is_dropped_and_others_lose_nothing(session: Session) -> None:
    async def work() -> None:
        async with served(session, behind=20) as url, stream(url) as good:
            await good.say("subscribe", "liquidation")
            await good.hear("snapshot")
            deaf = await asyncio.to_thread(handshake, url)
            told: list[float] = []
            wide = [liquidation(number, ETH, "x" * 80) for number in range(900)]
            dropped, bursts = False, 0
            with Writer(session.path) as writer:
                while not dropped:
                    writer.append([liquidation(bursts + 10), *wide])
                    while not told or told[-1] != bursts + 11:
                        columns = (await good.hear("delta"))["columns"]
                        pairs = zip(columns["symbol"], columns["price"], strict=True)
                        told += [price for symbol, price in pairs if symbol == BTC]
                    bursts += 1
                    metrics = (await asyncio.to_thread(httpx.get, f"{url}metrics")).text
                    dropped = "plimsoll_server_slow_total 1\n" in metrics
                    assert bursts < 500
            assert told == [float(burst + 11) for burst in range(bursts)]
            await asyncio.to_thread(_read_to_the_end, deaf)

    run(work)


def _read_to_the_end(deaf: socket.socket) -> None:
    """The reason is there for a client that reads after all."""
    last = b""
    with deaf:
        deaf.settimeout(30)
        while b"slow: 20 messages behind" not in last:
            piece = deaf.recv(1 << 20)
            assert piece, "it was closed without a reason"
            last = (last + piece)[-200:]


def test_more_streams_than_allowed_are_refused(session: Session) -> None:
    async def work() -> None:
        async with served(session, streams=2) as url:
            async with stream(url), stream(url):
                with pytest.raises(InvalidStatus):
                    async with stream(url):
                        pass
            await asyncio.sleep(0.2)
            async with stream(url) as again:
                await again.hear("beat")

    run(work)


def test_a_page_elsewhere_cannot_listen(session: Session) -> None:
    async def work() -> None:
        async with served(session) as url:
            with pytest.raises(InvalidStatus) as refused:
                async with stream(url, origin="https://elsewhere.example"):
                    pass
            assert refused.value.response.status_code == 403

    run(work)


class Desk:
    """Lets a call wait until it is told to go on, and counts those that wait."""

    def __init__(self, channel: str = "trade") -> None:
        self.found = pl.DataFrame(schema=TABLES[channel].schema)
        self.begun = self.open = self.most = 0
        self.go = asyncio.Event()

    async def run(self, _make: object) -> pl.DataFrame:
        self.begun, self.open = self.begun + 1, self.open + 1
        self.most = max(self.most, self.open)
        await self.go.wait()
        self.open -= 1
        return self.found


class Listener:
    def __init__(self) -> None:
        self.told: asyncio.Queue[dict] = asyncio.Queue()

    def offer(self, message: str) -> None:
        self.told.put_nowait(json.loads(message))

    def drop(self, reason: str) -> None: ...


def trades_of(number: int) -> Subject:
    return Subject("trade", f"C{number}/USDT:USDT", None)


def test_what_nobody_waits_for_any_more_is_not_read(root: Path) -> None:
    async def come_and_go() -> int:
        desk, listener = Desk(), Listener()
        hub = Hub(SimpleNamespace(desk=desk, layout=Layout(root)))
        for number in range(100):
            hub.subscribe(trades_of(number), listener)
        await asyncio.sleep(0)
        for number in range(100):
            hub.unsubscribe(trades_of(number), listener)
        desk.go.set()
        await asyncio.sleep(0.01)
        return desk.begun

    assert asyncio.run(come_and_go()) == 1  # it had begun when they left


def test_snapshots_are_read_one_at_a_time_and_once_for_all_who_wait(root: Path) -> None:
    async def come() -> tuple[int, int]:
        desk = Desk()
        hub = Hub(SimpleNamespace(desk=desk, layout=Layout(root)))
        for _ in range(7):
            for number in range(10):
                hub.subscribe(trades_of(number), Listener())
        await asyncio.sleep(0)
        desk.go.set()
        await asyncio.sleep(0.05)
        return desk.begun, desk.most

    assert asyncio.run(come()) == (10, 1)


def test_more_snapshots_than_may_wait_are_refused_with_a_reason(root: Path) -> None:
    async def come() -> None:
        hub = Hub(SimpleNamespace(desk=Desk(), layout=Layout(root)))
        for number in range(1_024):
            hub.subscribe(trades_of(number), Listener())
        with pytest.raises(Problem, match="subscribe again in a second"):
            hub.subscribe(trades_of(1_024), Listener())
        hub.subscribe(trades_of(0), Listener())  # waited for already: costs nothing more
        hub.subscribe(Subject("store"), Listener())  # has nothing to read
        assert hub.topics == 1_025

    asyncio.run(come())


def test_who_comes_while_the_store_is_looked_at_misses_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes is read from the journal after the late one's snapshot was, in the same look."""

    async def come() -> list[float]:
        loop, desk, late = asyncio.get_running_loop(), Desk("liquidation"), Listener()
        desk.go.set()
        states = iter(range(100))
        service = SimpleNamespace(desk=desk, layout=Layout(root), state=lambda: next(states))
        hub = Hub(service)

        async def subscribe() -> None:
            hub.subscribe(Subject("liquidation"), late)
            await asyncio.sleep(0.05)  # its snapshot is read: without what comes now

        def look(_tail: Tail) -> dict[str, pl.DataFrame]:
            if not desk.begun:
                asyncio.run_coroutine_threadsafe(subscribe(), loop).result()
                return {"liquidation": new}
            return {}

        monkeypatch.setattr(Tail, "look", look)
        hub.subscribe(Subject("store"), Listener())
        looking = asyncio.ensure_future(hub.run())
        snapshot = await late.told.get()
        looking.cancel()
        return prices(snapshot)

    new = rows([liquidation(6)])["liquidation"]
    assert asyncio.run(asyncio.wait_for(come(), 30)) == [7.0]


def test_a_flood_of_subscriptions_reads_the_journal_once(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    parse = appended.batches
    monkeypatch.setattr(appended, "batches", lambda data: read.append(len(data)) or parse(data))

    async def work() -> None:
        with Writer(session.path) as writer:
            for number in range(3, 200):
                writer.append([liquidation(number)])
            journal = sum(path.stat().st_size for path in Layout(session.path).journal.iterdir())
            async with served(session) as url, stream(url) as heard:
                for number in range(60):
                    await heard.say("subscribe", "liquidation", f"C{number}/USDT:USDT")
                for _ in range(60):
                    await heard.hear("snapshot")
            assert sum(read) == journal

    run(work)
