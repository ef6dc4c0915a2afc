"""Channels of one socket as a stream that outlives its connections.

When a connection is lost, another is made, later and later; what was missed between the moment the
old one was last heard of and the moment the new one was answered is a `Gap` for each channel.
Before a server would end a connection for its age, a new one is opened beside it, and the old one
is let go when the new one is answered; what both brought is told once.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from plimsoll.errors import ConnectionLost, ExchangeError, UnreadableMessage
from plimsoll.exchanges.reading import UNREADABLE, Acknowledged, Refused, Reply
from plimsoll.feed.rest import ask
from plimsoll.market.events import Event, Gap
from plimsoll.net.retry import Backoff
from plimsoll.net.websocket import Socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from plimsoll.exchanges.base import Channel, Exchange, Ping
    from plimsoll.exchanges.reading import Listing
    from plimsoll.feed.health import Health
    from plimsoll.net.http import Client

    _Item = tuple["_Connection", tuple[bytes, int] | ExchangeError]

__all__ = ["Taps", "subscription"]

ANSWER = 30.0
"""Seconds within which subscriptions must be answered."""
_OVERLAP = 10.0
_WAITING = 4_096


def _nothing(*_: object) -> None:
    return


class Taps(NamedTuple):
    """Where raw bytes go beside the stream.

    Attributes
    ----------
    raw : callable
        Told each frame: the socket's URL, nanosecond, bytes.
    unreadable : callable
        Told each frame that cannot be read: exchange, nanosecond, bytes, why.
    """

    raw: Callable[[str, int, bytes], None] = _nothing
    unreadable: Callable[[str, int, bytes, str], None] = _nothing


class _Connection:
    """One connection of a subscription, reading into a queue."""

    def __init__(
        self,
        exchange: Exchange,
        channels: Sequence[Channel],
        listings: Iterable[Listing],
        address: Callable[[str], str],
        client: Client | None,
        queue: asyncio.Queue[_Item],
    ) -> None:
        self._exchange, self._address, self._client = exchange, address, client
        self.channels = list(channels)
        self.topics = {channel.topic for channel in channels}
        self.unanswered = set(self.topics)
        self.refused: list[Refused] = []
        self.decoder = exchange.decoder(listings)
        self._queue = queue
        self.born = time.monotonic()
        self.socket = self._socket(self.channels[0].url, exchange.ping)
        self._frames = exchange.subscribe(self.channels)
        self._task = asyncio.ensure_future(self._run())

    def _socket(self, url: str, ping: Ping) -> Socket:
        return Socket(url, ping=(ping.every, ping.payload), address=self._address)

    async def _enter(self) -> None:
        """Learn where to connect, if the exchange gives each connection a URL of its own."""
        ticket = self._exchange.ticket()
        if ticket is None or self._client is None:
            return
        payload, _ = await ask(self._client, self._exchange, ticket)
        try:
            self.socket = self._socket(*self._exchange.entrance(payload))
        except UNREADABLE as error:
            why = f"its ticket for a socket cannot be read: {type(error).__name__}: {error}"
            raise ConnectionLost(self._exchange.name, why) from error

    async def _run(self) -> None:
        try:
            await self._enter()
            async with self.socket:
                for request in self._frames:
                    await self.socket.send(request)
                async for frame in self.socket.frames():
                    await self._queue.put((self, frame))
        except ExchangeError as error:
            await self._queue.put((self, error))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})  # whoever cancels us meanwhile is heard
        if not self._task.cancelled():
            self._task.exception()

    @property
    def is_late(self) -> bool:
        """Whether it should have been answered by now."""
        return bool(self.unanswered) and time.monotonic() - self.born > ANSWER

    def heard(self, events: list[Event]) -> None:
        """Take data for an answer: what brings some is subscribed."""
        for channel in self.channels:
            if channel.topic in self.unanswered and any(
                type(event).__struct_config__.tag in channel.kinds
                and channel.symbol in {None, event.symbol}
                for event in events
            ):
                self.unanswered.discard(channel.topic)

    def answered(self, item: Acknowledged | Refused) -> None:
        """Hear that subscriptions were accepted or refused."""
        if isinstance(item, Refused):
            self.refused.append(item)
            self.unanswered.discard(item.topic)
        elif item.topics:
            self.unanswered.difference_update(item.topics)
        else:
            self.unanswered.clear()


async def subscription(
    exchange: Exchange,
    channels: Sequence[Channel],
    listings: Iterable[Listing],
    health: Health,
    *,
    symbols: Sequence[str] | None = None,
    since: Mapping[tuple[str, str], int] | None = None,
    taps: Taps | None = None,
    address: Callable[[str], str] = lambda url: url,
    client: Client | None = None,
) -> AsyncIterator[Event]:
    """Yield the events of channels of one socket, without end.

    Parameters
    ----------
    exchange : Exchange
    channels : sequence of Channel
        Of one URL, and no more than `Exchange.most`.
    listings : iterable of Listing
        All that the exchange lists: a channel may bring any.
    health : Health
        Kept up to date.
    symbols : sequence of str, optional
        Whose gaps are told where a channel is of all; of all if left out.
    since : mapping of (str, str) to int, optional, UTC nanoseconds
        Until when an earlier run recorded a kind of a symbol: what lies between is a gap.
    taps : Taps, optional
    address : callable, optional
        Returns the URL to use in place of one.
    client : Client, optional
        Asks for tickets; an exchange without them needs none.

    Yields
    ------
    Event
        With a `Gap` for each channel wherever something may have been missed.

    Raises
    ------
    Rejected
        If the exchange refuses the socket for good.
    ValueError
        If the exchange wants tickets, and there is no client.
    """
    if client is None and exchange.ticket() is not None:
        raise ValueError(f"{exchange.name} wants tickets for its sockets; give a client")
    every = list(listings)
    work = _Subscription(exchange, channels, every, health, taps or Taps(), address, client)
    work.symbols = [one.symbol for one in every] if symbols is None else list(symbols)
    work.before = dict(since or {})
    try:
        async for event in work.run():
            yield event
    finally:
        await work.close()


class _Subscription:
    def __init__(
        self,
        exchange: Exchange,
        channels: Sequence[Channel],
        listings: list[Listing],
        health: Health,
        taps: Taps,
        address: Callable[[str], str],
        client: Client | None,
    ) -> None:
        self._exchange, self._channels, self._listings = exchange, channels, listings
        self._health, self._taps, self._address, self._client = health, taps, address, client
        self._backoff = Backoff()
        self._now: _Connection | None = None
        self._next: _Connection | None = None
        self._both_until = self._renewed_at = 0.0
        self._seen: dict[Event, None] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        # Both connections of a change-over write here; a full queue holds the sockets up.
        self._queue: asyncio.Queue[_Item] = asyncio.Queue(_WAITING)
        self._reason = "not recorded"
        self._lost_at: int | None = None
        self.before: dict[tuple[str, str], int] = {}
        self.symbols: list[str] = []

    async def close(self) -> None:
        for connection in (self._now, self._next):
            if connection is not None:
                await connection.close()
        await asyncio.gather(*self._leaving)

    def _open(self) -> _Connection:
        return _Connection(
            self._exchange,
            self._channels,
            self._listings,
            self._address,
            self._client,
            self._queue,
        )

    async def run(self) -> AsyncIterator[Event]:
        self._now = self._open()
        while True:
            self._grow_old()
            item = await self._take()
            if item is None:
                if self._now is not None:
                    self._health.heard = self._now.socket.alive
                continue
            connection, content = item
            if isinstance(content, ExchangeError):
                await self._lost(connection, content)
                continue
            payload, received = content
            for event in self._read(connection, payload, received):
                yield event
            self._health.heard = received

    def _grow_old(self) -> None:
        """Open the successor of a connection that the server will end soon."""
        now = self._now
        if now is None or self._next is not None:
            return
        moment = time.monotonic()
        if moment - now.born > self._exchange.longest and moment >= self._renewed_at:
            self._next = self._open()

    async def _take(self) -> _Item | None:
        """Return what comes next; None if for a second nothing did."""
        with suppress(asyncio.QueueEmpty):
            return self._queue.get_nowait()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):  # wait_for loses cancellations before Python 3.12
                return await self._queue.get()
        now = self._now
        if now is None or not now.is_late:
            return None
        missing = ", ".join(sorted(now.unanswered)[:3])
        why = f"did not answer subscriptions: {missing}"
        return now, ConnectionLost(self._exchange.name, why)

    async def _lost(self, connection: _Connection, error: ExchangeError) -> None:
        """Replace a lost connection, after a while."""
        await connection.close()
        self._health.problem = str(error)
        if connection is self._next:
            self._next = None
            wait = max(self._backoff.failed(), getattr(error, "retry_after", None) or 0.0)
            self._renewed_at = time.monotonic() + wait
            return
        if connection is not self._now:
            return  # its successor took over already
        if self._lost_at is None:
            self._lost_at = connection.socket.alive or time.time_ns()
            self._reason = str(error)
        if not error.transient:
            self._health.state = "refused"
            raise error
        if self._next is not None:  # the successor is on its way already
            self._now, self._next = self._next, None
            self._health.state = "lost"
            return
        self._health.state = "lost"
        self._health.reconnects += 1
        wait = self._backoff.failed()
        await asyncio.sleep(max(wait, getattr(error, "retry_after", None) or 0.0))
        self._now = self._open()

    def _read(self, connection: _Connection, payload: bytes, received: int) -> list[Event]:
        self._taps.raw(connection.channels[0].url, received, payload)
        try:
            items = connection.decoder.read(payload, received)
        except UnreadableMessage as error:
            self._health.unreadable += 1
            self._health.problem = error.why
            self._taps.unreadable(self._exchange.name, received, payload, error.why)
            return []
        found: list[Event] = []
        for item in items:
            if isinstance(item, Acknowledged | Refused):
                connection.answered(item)
            elif isinstance(item, Reply):
                self._reply(connection, item)
            elif isinstance(item, Event):
                found.append(item)
        if connection.unanswered and found:
            connection.heard(found)
        before = self._live(connection, received)
        return [*before, *self._once(found, received)]

    def _reply(self, connection: _Connection, item: Reply) -> None:
        task = asyncio.ensure_future(connection.socket.send(item.payload))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _live(self, connection: _Connection, received: int) -> list[Event]:
        """Take note when all subscriptions are answered, and return the gaps that closes."""
        if connection.unanswered:
            return []
        if connection is self._next:
            old, self._now, self._next = self._now, self._next, None
            self._both_until = time.monotonic() + _OVERLAP
            if old is not None:
                leaving = asyncio.ensure_future(old.close())
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)
        self._health.state = "live"
        self._backoff.succeeded()
        if connection.refused:
            self._health.problem = f"refused: {connection.refused[-1].reason}"
            refused = {item.topic for item in connection.refused}
            self._health.refused = self._pairs(refused) - self._pairs(connection.topics - refused)
        if self._lost_at is None and not self.before:
            return []
        gaps = self._gaps(received)
        self._lost_at, self.before = None, {}
        return gaps

    def _pairs(self, topics: set[str]) -> set[tuple[str, str]]:
        """Return the kinds of symbols that topics bring."""
        return {
            (kind, symbol)
            for channel in self._channels
            if channel.topic in topics
            for kind in channel.kinds
            for symbol in self._symbols(channel)
        }

    def _gaps(self, until: int) -> list[Event]:
        """Return what was missed: since an earlier run, or since a connection was lost."""
        pairs = self._pairs({channel.topic for channel in self._channels})
        missed = self.before
        if self._lost_at is not None:
            missed = {**dict.fromkeys(pairs, self._lost_at), **self.before}
        found: list[Event] = [
            Gap(
                exchange=self._exchange.name,
                symbol=symbol,
                time=since,
                known_at=until,
                received=until,
                stream=kind,
                until=until,
                reason=self._reason,
            )
            for (kind, symbol), since in sorted(missed.items())
            if (kind, symbol) in pairs and since < until
        ]
        self._health.gaps += len(found)
        return found

    def _symbols(self, channel: Channel) -> list[str]:
        if channel.symbol is not None:
            return [channel.symbol]
        return self.symbols

    def _once(self, events: list[Event], received: int) -> list[Event]:
        """Return the events that were not told before, while two connections overlap."""
        fresh = events
        if self._next is not None or time.monotonic() < self._both_until:
            fresh = [event for event in events if replace(event, received=None) not in self._seen]
            self._seen.update((replace(event, received=None), None) for event in fresh)
        elif self._seen:
            self._seen.clear()
        for event in fresh:
            self._health.came(event.time, received)
        return fresh
