"""Sockets that are opened with a ticket, against a loopback KuCoin."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from fakes.recorder import live, until
from fakes.server import Fake
from plimsoll.exchanges import exchange
from plimsoll.exchanges.reading import Listing
from plimsoll.feed.health import Health
from plimsoll.feed.subscription import subscription
from plimsoll.market.instrument import Instrument
from plimsoll.net import retry, websocket
from plimsoll.net.http import Client
from plimsoll.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plimsoll.market.events import Event

KUCOIN = exchange("kucoin")
BTC = Listing(
    native="XBTUSDTM",
    category="linear",
    instrument=Instrument(exchange="kucoin", symbol="BTC/USDT:USDT"),
)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once, and notice silence soon."""
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))
    monkeypatch.setattr(websocket, "_PING", 0.6)


def match(number: int) -> dict[str, Any]:
    return {
        "topic": "/contractMarket/execution:XBTUSDTM",
        "type": "message",
        "subject": "match",
        "sn": number,
        "data": {
            "symbol": "XBTUSDTM",
            "sequence": number,
            "side": "buy",
            "size": 2,
            "price": "90503.9",
            "takerOrderId": "247822202957807616",
            "makerOrderId": "247822167163555840",
            "tradeId": str(number),
            "ts": 1731898619520000000 + number,
        },
    }


def greeting(sent: dict[str, Any]) -> list[Any]:
    kinds = {"subscribe": "ack", "ping": "pong"}
    return [{"id": sent["id"], "type": kinds[sent["type"]]}]


def run(play: Callable[[Fake, list[Event], Health], Awaitable[None]]) -> None:
    """Play while the trades of a contract are listened to."""

    async def listen(fake: Fake, heard: list[Event], health: Health) -> None:
        channels = KUCOIN.channels("trade", [BTC])
        async with Client(fake.address, tries=1) as client:
            events = subscription(
                KUCOIN, channels, [BTC], health, address=fake.address, client=client
            )
            async for event in events:
                heard += [event]

    async def whole() -> None:
        async with Fake() as fake:
            tokens = itertools.count(1)
            fake.greeting, fake.answers_pings = greeting, False
            fake.serve(
                "bullet-public",
                lambda _query, _body: {
                    "code": "200000",
                    "data": {
                        "token": f"token{next(tokens)}",
                        "instanceServers": [
                            {
                                "endpoint": "wss://ws-api-futures.kucoin.com/endpoint",
                                "protocol": "websocket",
                                "encrypt": True,
                                "pingInterval": 1_000,
                                "pingTimeout": 10000,
                            }
                        ],
                    },
                },
            )
            heard: list[Event] = []
            health = Health("kucoin")
            task = asyncio.ensure_future(listen(fake, heard, health))
            try:
                await until(lambda: live(Recording(health=[health])) or task.done())
                await play(fake, heard, health)
            finally:
                task.cancel()
                await asyncio.wait({task})

    asyncio.run(whole())


def sockets(fake: Fake) -> list[str]:
    return [path for path in fake.asked if "endpoint" in path]


def test_each_connection_asks_for_a_ticket_of_its_own() -> None:
    async def play(fake: Fake, heard: list[Event], health: Health) -> None:
        await fake.send(match(1))
        await until(lambda: len(heard) == 1)
        fake.reset()
        await until(lambda: fake.opened == 2 and health.state == "live")
        await until(lambda: health.gaps == 1)
        await fake.send(match(2))
        await until(lambda: len(heard) == 3)
        place = "/ws-api-futures.kucoin.com/endpoint?token=token"
        assert sockets(fake) == [f"{place}1", f"{place}2"]

    run(play)


def test_a_server_that_answers_its_own_pings_only_is_alive() -> None:
    async def play(fake: Fake, heard: list[Event], health: Health) -> None:
        await asyncio.sleep(2)
        await fake.send(match(1))
        await until(lambda: len(heard) == 1)
        assert (fake.opened, health.reconnects) == (1, 0)
        fake.freeze()
        await until(lambda: fake.opened == 2)

    run(play)


def test_a_ticket_that_cannot_be_read_is_asked_for_again() -> None:
    async def play(fake: Fake, heard: list[Event], health: Health) -> None:
        good = fake.served("bullet-public")
        fake.serve("bullet-public", lambda _query, _body: {"code": "429000", "msg": "slow down"})
        fake.reset()
        await until(lambda: health.reconnects >= 3)
        assert "429000" in health.problem
        fake.serve("bullet-public", good)
        await until(lambda: health.state == "live")
        assert [event.stream for event in heard] == ["trade"]  # a gap

    run(play)


def test_without_a_client_no_ticket_can_be_asked_for() -> None:
    async def whole() -> None:
        channels = KUCOIN.channels("trade", [BTC])
        with pytest.raises(ValueError, match="wants tickets"):
            await anext(subscription(KUCOIN, channels, [BTC], Health("kucoin")))

    asyncio.run(whole())
