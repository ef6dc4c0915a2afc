"""The recorder against exchanges that refuse, replace, compress and end connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

import plimsoll
from fakes.recorder import gaps, live, recorded, run, stored, until
from fakes.venues import VENUES, Venue
from plimsoll import recording
from plimsoll.exchanges import exchange
from plimsoll.exchanges.reading import Listing
from plimsoll.feed.health import Health
from plimsoll.feed.subscription import subscription
from plimsoll.market.instrument import Instrument
from plimsoll.net import retry
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fakes.server import Fake

BYBIT = next(venue for venue in VENUES if venue.name == "bybit")
OKX = next(venue for venue in VENUES if venue.name == "okx")
BAN = (418, 403, 429)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once."""
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))


@pytest.mark.parametrize("status", BAN)
def test_a_ban_of_requests_is_waited_out(status: int, tmp_path: Path) -> None:
    async def play(fake: Fake) -> None:
        fake.status["instruments-info"] = [(status, {"Retry-After": "1"})]
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            assert live(told)
            assert told.problems == []

    run(BYBIT, play)


@pytest.mark.parametrize("status", BAN)
def test_a_ban_of_sockets_is_waited_out(status: int, tmp_path: Path) -> None:
    async def play(fake: Fake) -> None:
        fake.handshakes = [(status, {"Retry-After": "1"})]
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            await fake.send(BYBIT.liquidations(range(10)))
            await until(lambda: told.kept == 10 + told.health[0].gaps)
            assert fake.opened == 1
            assert str(status) in told.health[0].problem

    run(BYBIT, play)


@contextlib.asynccontextmanager
async def _both(fake: Fake, root: Path, told: Recording) -> AsyncIterator[None]:
    """Record Bybit and OKX from one server."""
    OKX.prepare(fake)
    fake.greeting = lambda sent: (BYBIT if "req_id" in sent else OKX).greeting(sent)
    wanted = [
        Wanted(exchange=name, symbols=("BTC",), kinds=("liquidation",)) for name in ("bybit", "okx")
    ]
    task = asyncio.ensure_future(
        plimsoll.open(root).record_exchanges(wanted, told, address=fake.address)
    )
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _asked(fake: Fake, host: str) -> int:
    return sum(path.startswith(f"/{host}") for path in fake.asked)


def _states(told: Recording) -> list[str]:
    return sorted(one.state for one in told.health)


def test_a_region_that_is_not_served_is_told_and_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_AGAIN", 0.05)

    async def play(fake: Fake) -> None:
        told = Recording()
        fake.status["instruments"] = [(451, {})] * 1_000  # OKX's
        async with _both(fake, tmp_path / "store", told):
            await until(lambda: live(told) and bool(told.problems))
            asked = _asked(fake, "www.okx.com")
            await asyncio.sleep(0.5)
            assert _asked(fake, "www.okx.com") == asked
            assert [one.name.split()[0] for one in told.health] == ["bybit"]
            assert len(told.problems) == 1
            assert "does not serve this region" in told.problems[0]
            await fake.send(BYBIT.liquidations(range(10)))
            await until(lambda: told.kept == 10)

    run(BYBIT, play)


def test_an_exchange_that_bans_us_holds_up_no_other(tmp_path: Path) -> None:
    async def play(fake: Fake) -> None:
        told = Recording()
        fake.status["instruments-info"] = [(403, {})] * 1_000  # Bybit's: ten minutes of silence
        async with _both(fake, tmp_path / "store", told):
            await until(lambda: live(told) and bool(told.problems))
            assert [one.name.split()[0] for one in told.health] == ["okx"]
            assert len(told.problems) == 1
            assert "asked too often (403), silent for 600 s" in told.problems[0]
            await fake.send(OKX.liquidations(range(10)))
            await until(lambda: told.kept == 10)

    run(BYBIT, play)


def test_a_socket_that_does_not_serve_a_region_is_told_and_not_tried_again(
    tmp_path: Path,
) -> None:
    async def play(fake: Fake) -> None:
        told = Recording()
        fake.handshakes = [(451, {})]
        async with _both(fake, tmp_path / "store", told):
            await until(lambda: _states(told) == ["live", "refused"])
            await asyncio.sleep(0.5)
            assert _states(told) == ["live", "refused"]
            assert fake.opened == 1
            assert len(told.problems) == 1
            assert "does not serve this region" in told.problems[0]

    run(BYBIT, play)


@pytest.mark.parametrize("packing", [web.ContentCoding.gzip, web.ContentCoding.deflate])
def test_compressed_answers_and_deflated_frames_are_read(
    packing: web.ContentCoding, tmp_path: Path
) -> None:
    async def play(fake: Fake) -> None:
        fake.packing = packing
        async with recorded(fake, tmp_path / "store", BYBIT) as (told, _):
            await fake.send(BYBIT.liquidations(range(10)))
            await until(lambda: told.kept == 10)
            assert fake.deflated == fake.opened == 1

    run(BYBIT, play)


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_a_server_that_ends_old_connections_costs_nothing_under_load(
    venue: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(exchange(venue.name)), "longest", 0.4)

    async def play(fake: Fake) -> None:
        fake.longest = 2.5
        sent = 0
        async with recorded(fake, tmp_path / "store", venue) as (told, _):
            while fake.opened < 3:
                await fake.send(venue.liquidations(range(sent, sent + venue.batch)))
                sent += venue.batch
                await asyncio.sleep(0.005)
            await until(lambda: told.kept >= sent)
        assert told.kept == sent
        assert (told.health[0].gaps, told.health[0].reconnects) == (0, 0)

    run(venue, play)
    rows = stored(tmp_path / "store")
    assert not rows["time"].is_duplicated().any()
    with pytest.raises(plimsoll.errors.NoSuchData):
        gaps(tmp_path / "store")


def test_a_connection_that_dies_after_its_successor_took_over_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bybit = exchange("bybit")
    monkeypatch.setattr(type(bybit), "longest", 0.1)
    listing = Listing(
        native="BTCUSDT",
        category="linear",
        instrument=Instrument(exchange="bybit", symbol="BTC/USDT:USDT"),
    )
    channels = bybit.channels("liquidation", [listing])

    async def play(fake: Fake) -> None:
        health = Health("bybit")
        stream = subscription(bybit, channels, [listing], health, address=fake.address)
        async with contextlib.aclosing(stream) as events:
            first = asyncio.ensure_future(anext(events))
            await until(lambda: health.state == "live")
            fake.greeting = lambda _sent: []  # the successor is not answered yet
            await until(lambda: fake.opened == 2)
            monkeypatch.setattr(type(bybit), "longest", 1_000)
            await fake.send(BYBIT.liquidations(range(1)))
            await first
            # Nobody listens now: the answer and the end wait in line, in this order.
            await fake.send(BYBIT.greeting({"op": "subscribe"})[0])
            await asyncio.sleep(0.1)
            await fake.close_oldest()
            await asyncio.sleep(0.1)
            following = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.5)
            assert fake.sockets == 1
            await fake.send(BYBIT.liquidations(range(1, 2)))
            assert (await following).time == BYBIT.time(1) * 1_000_000
            assert fake.opened == 2
            assert (health.state, health.gaps, health.reconnects) == ("live", 0, 0)

    run(BYBIT, play)


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_what_three_cuts_lose_lies_in_declared_gaps(venue: Venue, tmp_path: Path) -> None:
    sent_at: dict[int, int] = {}

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", venue) as (told, _):
            for cut in range(4):
                for _ in range(5):
                    for n in range(len(sent_at), len(sent_at) + 500, venue.batch):
                        now = time.time_ns()
                        sent_at.update(dict.fromkeys(range(n, n + venue.batch), now))
                        await fake.send(venue.liquidations(range(n, n + venue.batch)))
                    await asyncio.sleep(0.01)
                if cut < 3:
                    fake.reset()
                    await until(lambda cut=cut: fake.opened == cut + 2)
                    await until(lambda cut=cut: live(told) and told.health[0].gaps > cut)
            await asyncio.sleep(0.5)

    run(venue, play)
    held = set(stored(tmp_path / "store")["time"].dt.epoch("ms"))
    found = gaps(tmp_path / "store")
    holes = list(zip(found["time"].dt.epoch("ns"), found["until"].dt.epoch("ns"), strict=True))
    missing = {n: when for n, when in sent_at.items() if venue.time(n) not in held}
    assert len(sent_at) == 10_000
    assert all(any(since <= when <= until for since, until in holes) for when in missing.values())
