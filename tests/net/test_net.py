"""Bytes in and out: allowances, retries, refusals, sockets."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest

from fakes.server import Fake
from plimsoll.errors import ConnectionLost, RateLimited, Rejected
from plimsoll.net import http, retry
from plimsoll.net.http import Allowance, Client
from plimsoll.net.limits import Limiter
from plimsoll.net.metrics import serve
from plimsoll.net.retry import Backoff, retried
from plimsoll.net.websocket import Socket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FREE = Allowance("free", 1e6, 1.0, "X-Used")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that sleeping moves on at once."""
    made = Clock()

    async def sleep(seconds: float) -> None:
        made.now += seconds

    monkeypatch.setattr("plimsoll.net.limits.asyncio.sleep", sleep)
    return made


def test_an_allowance_is_never_overdrawn_in_any_span(clock: Clock) -> None:
    async def run() -> list[float]:
        limiter, times = Limiter(100, 10, clock=clock), []
        for _ in range(300):
            await limiter.take()
            times.append(clock.now)
        return times

    times = asyncio.run(run())
    # A hundred at once, and the next when nine tenths of the pace allow.
    assert (times[99], times[100]) == (0, pytest.approx(10 / 0.9))
    for start in times:
        assert sum(start <= t < start + 10 for t in times) <= 100


def test_what_the_server_says_counts_more(clock: Clock) -> None:
    async def run() -> None:
        limiter = Limiter(100, 10, clock=clock)
        await limiter.take(10)
        clock.now = 4
        limiter.used(98)
        span = 10 / 0.9
        await limiter.take(5)  # ours are forgotten after that span, the others' 88 four later
        assert clock.now == pytest.approx(span)
        await limiter.take(10)
        assert clock.now == pytest.approx(4 + span)
        limiter.pause(30)
        await limiter.take()
        assert clock.now == pytest.approx(34 + span)

    asyncio.run(run())


def test_what_can_never_be_allowed_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="above the allowance"):
        asyncio.run(Limiter(10, 1, clock=clock).take(11))
    with pytest.raises(ValueError, match="an allowance is positive"):
        Limiter(0, 1)


def test_waits_double_up_to_a_minute_and_begin_anew() -> None:
    backoff = Backoff()
    waits = [backoff.failed() for _ in range(12)]
    for n, wait in enumerate(waits):
        assert min(60, 0.5 * 2**n) / 2 <= wait <= min(60, 0.5 * 2**n)
    backoff.succeeded()
    assert backoff.failed() <= 0.5


def test_only_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(retry.asyncio, "sleep", sleep)
    calls = 0

    async def fails(error: Exception) -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(Rejected):
        asyncio.run(retried(lambda: fails(Rejected("x", "no", code="400")), tries=4))
    assert (calls, waits) == (1, [])
    with pytest.raises(ConnectionLost):
        asyncio.run(retried(lambda: fails(ConnectionLost("x", "gone")), tries=4))
    assert (calls, len(waits)) == (5, 3)
    with pytest.raises(RateLimited):
        asyncio.run(retried(lambda: fails(RateLimited("x", "slow", retry_after=77)), tries=2))
    assert waits[-1] == 77
    patience = {"tries": 2, "patience": 60}
    with pytest.raises(RateLimited):
        asyncio.run(retried(lambda: fails(RateLimited("x", "ban", retry_after=61)), **patience))
    assert (waits[-1], calls) == (77, 8)
    with pytest.raises(ValueError, match="tries"):
        asyncio.run(retried(lambda: fails(ConnectionLost("x", "gone")), tries=0))


def run(play: Callable[[Fake, Client], Awaitable[None]], tries: int = 1) -> None:
    async def whole() -> None:
        async with Fake() as fake, Client(fake.address, tries=tries) as client:
            fake.serve("/things", lambda query, body: {"query": query, "body": body.decode()})
            await play(fake, client)

    asyncio.run(whole())


def test_a_request_carries_its_query_and_body() -> None:
    async def play(fake: Fake, client: Client) -> None:
        got = await client.ask("GET", "https://x.test/v1/things", FREE, query={"a": "1 2"})
        assert got == b'{"query": {"a": "1 2"}, "body": ""}'
        got = await client.ask("POST", "https://x.test/v1/things", FREE, body=b'{"type":"a"}')
        assert b'{\\"type\\":\\"a\\"}' in got
        assert fake.asked[0] == "/x.test/v1/things?a=1+2"

    run(play)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (400, Rejected, "refused"),
        (404, Rejected, "refused"),
        (451, Rejected, "does not serve this region"),
        (429, RateLimited, "asked too often"),
        (418, RateLimited, "silent for 120 s"),
        (403, RateLimited, "silent for 600 s"),
        (500, ConnectionLost, "failed"),
        (503, ConnectionLost, "failed"),
    ],
)
def test_each_refusal_is_told_by_its_kind(status: int, error: type[Exception], words: str) -> None:
    async def play(fake: Fake, client: Client) -> None:
        fake.status["things"] = [(status, {})]
        with pytest.raises(error, match=words):
            await client.ask("GET", "https://x.test/things", FREE)

    run(play)


def test_a_ban_silences_all_who_share_the_allowance() -> None:
    async def play(fake: Fake, client: Client) -> None:
        fake.status["things"] = [(429, {"Retry-After": "1"})]
        with pytest.raises(RateLimited) as caught:
            await client.ask("GET", "https://x.test/things", FREE)
        assert caught.value.retry_after == 1
        began = time.monotonic()
        await client.ask("GET", "https://y.test/things", FREE)
        assert time.monotonic() - began > 0.9

    run(play)


def test_a_long_ban_is_told_to_all_who_ask_meanwhile() -> None:
    async def whole() -> None:
        async with Fake() as fake, Client(fake.address, patience=60) as client:
            fake.serve("/things", lambda _query, _body: {})
            fake.status["things"] = [(418, {"Retry-After": "90"})]
            with pytest.raises(RateLimited, match="asked too often .418., silent for 90 s"):
                await client.ask("GET", "https://x.test/things", FREE)
            with pytest.raises(RateLimited, match="banned us: silent for"):
                await client.ask("GET", "https://y.test/things", FREE)
            other = Allowance("other", 10, 1.0)
            assert await client.ask("GET", "https://z.test/things", other) == b"{}"
            assert [path.split("/")[1] for path in fake.asked] == ["x.test", "z.test"]

    asyncio.run(whole())


def test_a_long_ban_is_told_to_who_waited_for_a_turn_already() -> None:
    async def whole() -> None:
        async with Fake() as fake, Client(fake.address, patience=60) as client:
            fake.serve("/things", lambda _query, _body: {})
            fake.status["things"] = [(418, {"Retry-After": "90"})]
            few = Allowance("few", 1, 0.5)
            asked = [client.ask("GET", "https://x.test/things", few) for _ in range(4)]
            async with asyncio.timeout(20):
                told = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in told] == [RateLimited] * 4
            assert len(fake.asked) == 1

    asyncio.run(whole())


def test_a_header_tells_how_much_is_used() -> None:
    async def play(fake: Fake, client: Client) -> None:
        fake.status["things"] = [(200, {"X-Used": "99"})]
        tight = Allowance("tight", 100, 1.0, "X-Used")
        await client.ask("GET", "https://x.test/things", tight)
        began = time.monotonic()
        await client.ask("GET", "https://x.test/things", tight, weight=40)
        assert time.monotonic() - began > 0.3

    run(play)


def test_a_server_that_comes_back_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry.Backoff.__init__, "__defaults__", (0.01, 0.05))

    async def play(fake: Fake, client: Client) -> None:
        fake.status["things"] = [(502, {}), (503, {})]
        assert await client.ask("GET", "https://x.test/things", FREE)
        assert len(fake.asked) == 3

    run(play, tries=3)


def test_a_host_that_is_not_there_is_a_lost_connection() -> None:
    async def whole() -> None:
        async with Client(lambda _url: "http://127.0.0.1:9/x", tries=1) as client:
            with pytest.raises(ConnectionLost, match="did not answer"):
                await client.ask("GET", "https://x.test/things", FREE)
        with pytest.raises(ConnectionLost, match="cannot be reached"):
            async with Socket("wss://x.test/ws", address=lambda _url: "ws://127.0.0.1:9/x"):
                pass

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("status", "error"), [(451, Rejected), (429, RateLimited), (503, ConnectionLost)]
)
def test_a_socket_that_is_refused_says_why(status: int, error: type[Exception]) -> None:
    async def whole() -> None:
        async with Fake() as fake:
            fake.status["ws"] = [(status, {})]
            with pytest.raises(error):
                async with Socket("wss://x.test/ws", address=fake.address):
                    pass

    asyncio.run(whole())


@pytest.mark.parametrize(("status", "usual"), [(429, 10), (418, 120), (403, 600)])
def test_a_banned_socket_says_how_long(status: int, usual: float) -> None:
    async def whole() -> None:
        async with Fake() as fake:
            fake.handshakes = [(status, {"Retry-After": "7"}), (status, {})]
            for wait in (7, usual):
                with pytest.raises(RateLimited) as caught:
                    async with Socket("wss://x.test/ws", address=fake.address):
                        pass
                assert caught.value.retry_after == wait

    asyncio.run(whole())


def test_a_socket_pings_as_its_exchange_wants() -> None:
    async def whole() -> None:
        async with (
            Fake() as fake,
            Socket("wss://x.test/ws", ping=(0.05, b'{"op":"ping"}'), address=fake.address),
        ):
            await asyncio.sleep(0.2)
            assert fake.subscribed[:2] == [{"op": "ping"}] * 2

    asyncio.run(whole())


def test_metrics_are_served_here() -> None:
    async def whole() -> None:
        async with Fake() as fake:
            port = fake.port
        async with (
            serve(port, lambda: "plimsoll_up 1\n"),
            aiohttp.ClientSession() as client,
            client.get(f"http://127.0.0.1:{port}/metrics") as answer,
        ):
            assert await answer.text() == "plimsoll_up 1\n"

    asyncio.run(whole())


def test_timeouts_are_finite() -> None:
    assert 0 < http.TIMEOUT < 60
