"""The recorder against loopback exchanges that misbehave: sent = stored + declared lost."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import json
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import plimsoll
from fakes.recorder import gaps, live, recorded, run, stored, until
from fakes.venues import VENUES, Venue
from plimsoll import recording
from plimsoll.exchanges import exchange
from plimsoll.exchanges.reading import Listing
from plimsoll.feed import connection as connections
from plimsoll.feed.health import Health
from plimsoll.feed.subscription import subscription
from plimsoll.market.instrument import Instrument
from plimsoll.net import retry, websocket
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.server import Fake


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once."""
    monkeypatch.setattr(retry, "_FIRST", 0.01)
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))


@pytest.mark.parametrize("apart", [1_000, 2], ids=["one a second", "500 a second"])
@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_ten_thousand_liquidations_in_bursts_are_kept_as_published(
    venue: Venue, apart: int, tmp_path: Path
) -> None:
    happened = [venue.forced(n, venue.time(0) + n * apart) for n in range(10_000)]
    published = venue.published(happened)
    # At 500 a second, twenty seconds; some exchanges tell of one of each.
    assert len(published) == (20 if venue.sampled and apart == 2 else 10_000)

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", venue) as (told, _):
            for burst in range(0, 10_000, 500):
                for frame in venue.frames(happened[burst : burst + 500]):
                    await fake.send(frame)
                await asyncio.sleep(0.01)
            await until(lambda: told.kept >= len(published), 30)
        assert told.kept == len(published)
        assert sum(one.unreadable for one in told.health) == 0

    run(venue, play)
    rows = stored(tmp_path / "store").sort("time")
    assert rows["time"].dt.epoch("ms").to_list() == [one.time for one in published]
    sides = ["long" if one.is_long else "short" for one in published]
    assert rows["side"].to_list() == sides
    assert set(rows["completeness"] == "throttled") == {venue.sampled}
    assert plimsoll.open(tmp_path / "store").audit().findings == []


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_a_lost_connection_is_a_gap_and_nothing_else_is_lost(
    venue: Venue, how: str, tmp_path: Path
) -> None:
    sent_at = 0

    async def play(fake: Fake) -> None:
        nonlocal sent_at
        async with recorded(fake, tmp_path / "store", venue) as (told, _):
            sent_at = time.time_ns()
            await fake.send(venue.liquidations(range(venue.batch)))
            await until(lambda: told.kept == venue.batch)
            if how == "close":
                await fake.close(1001)
            else:
                fake.reset()
            await until(lambda: fake.opened == 2)
            await until(lambda: live(told) and told.health[0].gaps > 0)
            await fake.send(venue.liquidations(range(100, 100 + venue.batch)))
            await until(lambda: told.kept >= 2 * venue.batch + told.health[0].gaps)

    run(venue, play)
    assert stored(tmp_path / "store").height == 2 * venue.batch
    found = gaps(tmp_path / "store")
    assert set(found["stream"]) == {"liquidation"}
    assert (found["until"] > found["time"]).all()
    # What happened just before may not have been sent yet.
    assert (found["time"].dt.epoch("ns") < sent_at).all()


BYBIT = next(venue for venue in VENUES if venue.name == "bybit")


def test_a_silent_half_open_connection_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * websocket._PING < 30  # noqa: SLF001 (a ping, and the wait for its pong)
    monkeypatch.setattr(websocket, "_PING", 0.2)

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            fake.freeze()
            await until(lambda: fake.opened >= 2, 5)
            await until(lambda: told.health[0].gaps > 0)

    run(BYBIT, play)


def test_a_connection_is_replaced_before_it_is_too_old_and_nothing_is_told_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(exchange("bybit")), "longest", 0.5)

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            sent = 0
            while fake.opened < 4:
                await fake.send(BYBIT.liquidations(range(sent, sent + BYBIT.batch)))
                sent += BYBIT.batch
                await asyncio.sleep(0.005)
            await until(lambda: told.kept >= sent)
            await asyncio.sleep(0.3)
        assert told.kept == sent
        assert told.health[0].gaps == 0
        assert told.health[0].reconnects == 0

    run(BYBIT, play)


def test_a_successor_that_is_refused_is_tried_again_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(exchange("bybit")), "longest", 0.2)
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.2, 0.4))

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            fake.status["linear"] = [(503, {})] * 1_000
            await asyncio.sleep(2.5)
            tried = 1_000 - len(fake.status["linear"])
            assert 2 <= tried <= 30
            await fake.send(BYBIT.liquidations(range(10)))
            await until(lambda: told.kept == 10)
            fake.status["linear"].clear()
            await until(lambda: fake.opened == 2)
            assert (told.health[0].gaps, told.health[0].reconnects) == (0, 0)

    run(BYBIT, play)


def test_what_is_listed_later_is_recorded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_RELISTED", 0.3)
    listed = ["BTCUSDT"]

    def instruments(query: dict[str, str], _body: bytes) -> Any:
        rows = [
            {"symbol": name, "fundingInterval": 480, "priceFilter": {"tickSize": "0.1"}}
            for name in (listed if query["category"] == "linear" else [])
        ]
        return {"retCode": 0, "retMsg": "OK", "result": {"list": rows}, "time": 1}

    async def play(fake: Fake) -> None:
        fake.serve("instruments-info", instruments)
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            await fake.send(BYBIT.liquidations(range(10)))
            await until(lambda: told.kept == 10)
            await asyncio.sleep(0.7)
            assert fake.opened == 1  # nothing new, nothing changed
            listed.append("BTCPERP")
            await until(lambda: fake.opened == 2)
            await until(lambda: live(told) and told.health[0].gaps > 0)
            frame = BYBIT.liquidations(range(20, 30))
            await fake.send(changed(frame, lambda inner: {**inner, "s": "BTCPERP"}))
            await fake.send(frame)
            await until(lambda: told.kept >= 30 + told.health[0].gaps)
            assert len(told.health) == 1

    run(BYBIT, play)
    rows = stored(tmp_path / "store")
    assert dict(rows.group_by("symbol").len().iter_rows()) == {
        "BTC/USDT:USDT": 20,
        "BTC/USDC:USDC": 10,
    }
    session = plimsoll.open(tmp_path / "store")
    assert session.audit().findings == []


def test_a_market_that_is_not_listed_at_first_is_recorded_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_AGAIN", 0.3)
    names = {"linear": "BTCUSDT", "inverse": "BTCUSD", "option": None}

    def instruments(query: dict[str, str], _body: bytes) -> Any:
        name = names[query["category"]]
        row = {"symbol": name, "fundingInterval": 480, "priceFilter": {"tickSize": "0.1"}}
        rows = [row] if name else []
        return {"retCode": 0, "retMsg": "OK", "result": {"list": rows}, "time": 1}

    async def play(fake: Fake) -> None:
        fake.serve("instruments-info", instruments)
        fake.status["instruments-info"] = [(400, {})]
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            await until(lambda: len(told.health) == 2 and live(told))
            assert len(told.problems) == 1

    run(BYBIT, play)


def test_an_exchange_that_is_down_at_first_is_recorded_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_AGAIN", 0.3)
    okx = next(venue for venue in VENUES if venue.name == "okx")

    async def play(fake: Fake) -> None:
        okx.prepare(fake)
        fake.greeting = lambda sent: (BYBIT if "req_id" in sent else okx).greeting(sent)
        fake.status["instruments"] = [(503, {})] * 1_000
        told = Recording()
        wanted = [
            Wanted(exchange=name, symbols=("BTC",), kinds=("liquidation",))
            for name in ("bybit", "okx")
        ]
        task = asyncio.ensure_future(
            plimsoll.open(tmp_path / "store").record_exchanges(wanted, told, address=fake.address)
        )
        await until(lambda: live(told) and bool(told.problems))
        assert [one.name.split()[0] for one in told.health] == ["bybit"]
        assert len(told.problems) == 1
        assert "503" in told.problems[0]
        fake.status["instruments"].clear()
        await until(lambda: len(told.health) == 2 and live(told))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(BYBIT, play)


def test_a_stream_can_be_stopped_at_any_moment() -> None:
    # asyncio.wait_for of Python 3.11 loses a cancellation that comes together with an event.
    bybit = exchange("bybit")
    listing = Listing(
        native="BTCUSDT",
        category="linear",
        instrument=Instrument(exchange="bybit", symbol="BTC/USDT:USDT"),
    )
    channels = bybit.channels("liquidation", [listing])

    async def play(fake: Fake) -> None:
        heard = asyncio.Event()

        async def listen() -> None:
            health = Health("bybit")
            async with contextlib.aclosing(
                subscription(bybit, channels, [listing], health, address=fake.address)
            ) as events:
                async for _ in events:
                    heard.set()

        for turn in range(60):
            heard.clear()
            listening = asyncio.ensure_future(listen())
            while not heard.is_set():
                await fake.send(BYBIT.liquidations(range(1)))
                await asyncio.sleep(0.001)
            await fake.send(BYBIT.liquidations(range(1)))
            for _ in range(turn % 20):
                await asyncio.sleep(0)
            listening.cancel()
            done, _ = await asyncio.wait({listening}, timeout=2)
            assert done, f"it goes on after it was cancelled, {turn % 20} steps after a frame"

    run(BYBIT, play)


def test_a_recorder_can_be_stopped_while_it_lets_go_of_a_dead_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER", 0.2)

    async def play(fake: Fake) -> None:
        fake.mute = True
        wanted = Wanted(exchange="bybit", symbols=("BTC",), kinds=("liquidation",))
        task = asyncio.ensure_future(
            plimsoll.open(tmp_path / "store").record_exchanges(
                [wanted], Recording(), address=fake.address
            )
        )
        await until(lambda: fake.opened == 1 or task.done())
        fake.freeze()  # so that saying goodbye takes two seconds
        await asyncio.sleep(1.8)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        assert done

    run(BYBIT, play)


def test_a_subscription_that_is_not_answered_is_noticed_while_others_bring_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER", 0.5)

    async def play(fake: Fake) -> None:
        fake.mute = True
        wanted = Wanted(exchange="bybit", symbols=("BTC",), kinds=("liquidation", "trade"))
        task = asyncio.ensure_future(
            plimsoll.open(tmp_path / "store").record_exchanges(
                [wanted], Recording(), address=fake.address
            )
        )
        for n in range(2_000):
            if fake.sockets:
                await fake.send(BYBIT.liquidations(range(n, n + 1)))
            await asyncio.sleep(0.005)
            if fake.opened > 1:
                break
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert fake.opened > 1

    run(BYBIT, play)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wrong_clock_moves_no_event(hours: int, tmp_path: Path) -> None:
    when = (time.time_ns() // 1_000_000) + hours * 3_600_000

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            await fake.send(BYBIT.message([BYBIT.forced(0, when)]))
            await until(lambda: told.kept == 1)
            assert told.health[0].delay == pytest.approx(-hours * 3_600, abs=60)

    run(BYBIT, play)
    assert stored(tmp_path / "store")["time"].dt.epoch("ms").to_list() == [when]


def test_frames_nobody_can_read_are_counted_and_kept_whole(tmp_path: Path) -> None:
    bad = [b"{", b"null", json.dumps({"topic": "allLiquidation.BTCUSDT", "data": [{}]}).encode()]
    root = tmp_path / "store"

    async def play(fake: Fake) -> None:
        async with recorded(fake, root, BYBIT, keep_raw=True) as (told, _):
            for frame in bad:
                await fake.send(frame)
            await fake.send(BYBIT.liquidations(range(2)))
            await until(lambda: told.kept == 2)
        assert told.health[0].unreadable == 3

    run(BYBIT, play)
    lines = (root / "unreadable" / "bybit.jsonl").read_text().splitlines()
    assert [base64.b64decode(json.loads(line)["payload"]) for line in lines] == bad
    (raw,) = (root / "raw" / "bybit").glob("*.zst")
    with pa.input_stream(str(raw), compression="zstd") as file:
        kept = file.read()
    assert all(frame in kept for frame in bad)


def test_compressed_frames_are_read(tmp_path: Path) -> None:
    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            fake.zipped = True
            await fake.send(BYBIT.liquidations(range(4)))
            await until(lambda: told.kept == 4)

    run(BYBIT, play)


def test_a_refusal_is_told_and_other_exchanges_go_on(tmp_path: Path) -> None:
    async def play(fake: Fake) -> None:
        fake.status["instruments-info"] = [(451, {})]
        told = Recording()
        session = plimsoll.open(tmp_path / "store")
        wanted = Wanted(exchange="bybit", kinds=("liquidation",))
        with pytest.raises(plimsoll.errors.ExchangeError, match="does not serve this region"):
            await session.record_exchanges([wanted], told, address=fake.address)

    run(BYBIT, play)


def test_asking_too_often_waits_as_long_as_the_server_says(tmp_path: Path) -> None:
    async def play(fake: Fake) -> None:
        fake.status["instruments-info"] = [(429, {"Retry-After": "1"}), (503, {})]
        began = time.monotonic()
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            assert live(told)
        assert time.monotonic() - began > 1

    run(BYBIT, play)


def test_an_exchange_named_twice_is_refused(tmp_path: Path) -> None:
    wanted = [Wanted(exchange="bybit", symbols=(coin,)) for coin in ("BTC", "ETH")]
    with pytest.raises(ValueError, match="once; named twice: bybit"):
        asyncio.run(plimsoll.open(tmp_path / "store").record_exchanges(wanted, Recording()))


def test_a_disk_that_refuses_a_file_beside_the_tables_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("plimsoll.feed.heard.put_text", full)

    async def play(fake: Fake) -> None:
        wanted = Wanted(exchange="bybit", symbols=("BTC",), kinds=("liquidation",))
        with pytest.raises(plimsoll.errors.StoreUnusable, match="No space left"):
            await plimsoll.open(tmp_path / "store").record_exchanges(
                [wanted], Recording(), address=fake.address
            )

    run(BYBIT, play)


RECORDER = """
import asyncio, sys, plimsoll
from urllib.parse import urlsplit
from plimsoll.recording import Recording, Wanted
root, port = sys.argv[1], sys.argv[2]
def address(url):
    parts = urlsplit(url)
    scheme = "ws" if parts.scheme.startswith("ws") else "http"
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://127.0.0.1:{port}/{parts.netloc}{parts.path}{query}"
class Told(Recording):
    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "kept" and value:
            print(value, flush=True)
wanted = Wanted(exchange="bybit", symbols=("BTC",), kinds=("liquidation",))
asyncio.run(plimsoll.open(root).record_exchanges([wanted], Told(), address=address))
"""


def test_a_killed_recorder_loses_nothing_acknowledged_and_each_interruption_is_a_gap(
    tmp_path: Path,
) -> None:
    root, kills = tmp_path / "store", 8
    draw = random.Random(1)
    acknowledged = 0
    sent_at: dict[int, int] = {}

    async def play(fake: Fake) -> None:
        nonlocal acknowledged
        for _ in range(kills):
            before = fake.opened
            run_ = await asyncio.create_subprocess_exec(
                sys.executable, "-c", RECORDER, str(root), str(fake.port),
                stdout=subprocess.PIPE,
            )  # fmt: skip
            # On a busy machine a process takes long to begin; how long is not what is tested.
            await until(lambda before=before: fake.opened > before and fake.sockets == 1, 120)
            await asyncio.sleep(0.2)
            end = time.monotonic() + draw.uniform(0.1, 0.9)
            while time.monotonic() < end:
                numbers = range(len(sent_at), len(sent_at) + BYBIT.batch)
                sent_at.update(dict.fromkeys(numbers, time.time_ns()))
                await fake.send(BYBIT.liquidations(numbers))
                await asyncio.sleep(0.002)
            run_.send_signal(signal.SIGKILL)
            out, _ = await run_.communicate()
            lines = [int(line) for line in out.split() if line.strip().isdigit()]
            acknowledged += lines[-1] if lines else 0

    run(BYBIT, play)
    session = plimsoll.open(root)
    rows, found = session.read("liquidation"), session.read("gap")
    assert rows.height + found.height >= acknowledged
    assert not rows["time"].is_duplicated().any()
    held = set(rows["time"].dt.epoch("ms"))
    missing = [when for n, when in sent_at.items() if BYBIT.time(n) not in held]
    holes = list(zip(found["time"].dt.epoch("ns"), found["until"].dt.epoch("ns"), strict=True))
    # Nothing follows the last kill: what it lost is a gap when somebody records again.
    last = max(until for _, until in holes)
    told = [when for when in missing if when < last]
    assert len(told) > kills
    assert all(any(since <= when <= until for since, until in holes) for when in told)
    assert session.audit().findings == []


def changed(message: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a message with the innermost objects changed."""
    if isinstance(message, list):
        return [changed(one, change) for one in message]
    if not isinstance(message, dict):
        return message
    if any(isinstance(value, dict | list) for value in message.values()):
        return {key: changed(value, change) for key, value in message.items()}
    return change(message)


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_what_is_told_twice_and_out_of_order_is_kept_once(venue: Venue, tmp_path: Path) -> None:
    frames = [venue.liquidations(range(n, n + venue.batch)) for n in range(0, 200, venue.batch)]
    twice = frames * 2
    random.Random(1).shuffle(twice)

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", venue) as (told, _):
            for frame in twice:
                await fake.send(frame)
            await until(lambda: told.kept >= 400)

    run(venue, play)
    rows = stored(tmp_path / "store")
    assert rows["time"].dt.epoch("ms").to_list() == [venue.time(n) for n in range(200)]


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_a_new_field_is_ignored_and_a_renamed_one_is_unreadable(
    venue: Venue, tmp_path: Path
) -> None:
    frame = venue.liquidations(range(venue.batch))
    more = changed(frame, lambda inner: {**inner, "new": {"deep": [1]}})
    other = changed(frame, lambda inner: {f"{key}2": value for key, value in inner.items()})
    assert frame != more
    assert frame != other

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", venue) as (told, _):
            await fake.send(more)
            await until(lambda: told.kept == venue.batch)
            await fake.send(other)
            await until(lambda: sum(one.unreadable for one in told.health) == 1)

    run(venue, play)
    assert stored(tmp_path / "store").height == venue.batch


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_half_a_frame_is_a_gap_and_no_event(venue: Venue, tmp_path: Path) -> None:
    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", venue) as (told, _):
            await fake.half(venue.liquidations(range(venue.batch)))
            await until(lambda: fake.opened == 2)
            await until(lambda: live(told) and told.health[0].gaps > 0)
            assert sum(one.unreadable for one in told.health) == 0

    run(venue, play)
    assert set(gaps(tmp_path / "store")["stream"]) == {"liquidation"}
    with pytest.raises(plimsoll.errors.NoSuchData):
        stored(tmp_path / "store")
