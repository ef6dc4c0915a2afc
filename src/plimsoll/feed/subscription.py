"""Channels of one socket as a stream that outlives its connections.

When a connection is lost, another is made, later and later; what was missed between the moment the
old one was last heard of, less what may have been underway then, and the moment the new one was
answered is a `Gap` for each channel. Before a server would end a connection for its age, a new one
is opened beside it, and the old one is let go when the new one is answered; what both brought is
told once. An order book that lost a message is had anew, by subscribing again or by asking for a
snapshot; until it is there, that too is a `Gap`.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from plimsoll.errors import ConnectionLost, ExchangeError, UnreadableMessage
from plimsoll.exchanges.reading import Acknowledged, Refused, Reply, Resync, Synced
from plimsoll.feed.connection import Connection
from plimsoll.feed.heard import UNDERWAY
from plimsoll.market.events import Event, Gap
from plimsoll.net.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from plimsoll.exchanges.base import Channel, Exchange
    from plimsoll.exchanges.reading import Listing, Request
    from plimsoll.feed.connection import Item
    from plimsoll.feed.health import Health
    from plimsoll.net.http import Client


__all__ = ["Taps", "subscription"]

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


async def subscription(
    exchange: Exchange,
    channels: Sequence[Channel],
    listings: Iterable[Listing],
    health: Health,
    *,
    client: Client | None = None,
    symbols: Sequence[str] | None = None,
    since: Mapping[tuple[str, str], int] | None = None,
    taps: Taps | None = None,
    address: Callable[[str], str] = lambda url: url,
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
    client : Client, optional
        Asks for tickets, and for the snapshots of channels that have them asked for.
    symbols : sequence of str, optional
        Whose gaps are told where a channel is of all; of all if left out.
    since : mapping of (str, str) to int, optional, UTC nanoseconds
        Until when an earlier run recorded a kind of a symbol: what lies between is a gap.
    taps : Taps, optional
    address : callable, optional
        Returns the URL to use in place of one.

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
    if client is None and any(channel.snapshot is not None for channel in channels):
        raise ValueError(f"{exchange.name}: snapshots of order books need a client to ask for them")
    work = _Subscription(exchange, channels, every, health, taps or Taps(), address)
    work.symbols = [one.symbol for one in every] if symbols is None else list(symbols)
    work.before, work.client = dict(since or {}), client
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
    ) -> None:
        self._exchange, self._channels, self._listings = exchange, channels, listings
        self._health, self._taps, self._address = health, taps, address
        self._backoff = Backoff()
        self._now: Connection | None = None
        self._next: Connection | None = None
        self._both_until = self._renewed_at = 0.0
        self._seen: dict[Event, None] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        # Both connections of a change-over write here; a full queue holds the sockets up.
        self._queue: asyncio.Queue[Item] = asyncio.Queue(_WAITING)
        self._reason = "not recorded"
        self._lost_at: int | None = None
        self._idle_at = 0
        self.before: dict[tuple[str, str], int] = {}
        self.client: Client | None = None
        self.symbols: list[str] = []

    async def close(self) -> None:
        for connection in (self._now, self._next):
            if connection is not None:
                await connection.close()
        await asyncio.gather(*self._leaving)

    def _open(self) -> Connection:
        return Connection(
            self._exchange,
            self._channels,
            self._listings,
            self._queue,
            self._address,
            self.client,
        )

    async def run(self) -> AsyncIterator[Event]:
        self._now = self._open()
        while True:
            self._grow_old()
            item = self._overdue() or await self._take()
            if item is None:
                continue
            connection, content = item
            if isinstance(content, ExchangeError):
                await self._lost(connection, content)
                continue
            payload, received, request = content
            for event in self._read(connection, payload, received, request):
                yield event

    def _caught_up(self) -> None:
        """Note until when all that came was passed on, now that nothing waits.

        What lies in the socket unread came after the last time that nothing waited. A book that
        is not known was not passed on.
        """
        if self._now is not None:
            unknown = [book.since for book in self._now.unknown.values()]
            self._health.heard = min([self._idle_at, self._now.socket.alive, *unknown])
        self._idle_at = time.time_ns()

    def _grow_old(self) -> None:
        """Open the successor of a connection that the server will end soon."""
        now = self._now
        if now is None or self._next is not None:
            return
        moment = time.monotonic()
        if moment - now.born > self._exchange.longest and moment >= self._renewed_at:
            self._next = self._open()

    def _overdue(self) -> Item | None:
        """Return the loss of a connection that brings no answer, or no order book again."""
        now = self._now
        if now is None:
            return None
        why = ""
        if now.is_late:
            why = f"did not answer subscriptions: {', '.join(sorted(now.unanswered)[:3])}"
        elif now.unknown and (missing := now.overdue):
            why = f"did not bring an order book again: {', '.join(missing[:3])}"
        return (now, ConnectionLost(self._exchange.name, why)) if why else None

    async def _take(self) -> Item | None:
        """Return what comes next; None if for a second nothing did."""
        with suppress(asyncio.QueueEmpty):
            return self._queue.get_nowait()
        self._caught_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):  # wait_for loses cancellations before Python 3.12
                return await self._queue.get()
        return None

    async def _lost(self, connection: Connection, error: ExchangeError) -> None:
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
            self._lost_at = (connection.socket.alive or time.time_ns()) - UNDERWAY
            self._reason = str(error)
        if not error.transient:
            self._health.state = "refused"
            raise error
        if self._next is not None:  # the successor is on its way already
            self._succeed(connection, self._next)
            self._health.state = "lost"
            return
        self._health.state = "lost"
        self._health.reconnects += 1
        wait = self._backoff.failed()
        await asyncio.sleep(max(wait, getattr(error, "retry_after", None) or 0.0))
        self._succeed(connection, self._open())

    def _succeed(self, old: Connection, new: Connection) -> None:
        """Go on with another connection; what the old one did not know is a gap until it does."""
        self._now, self._next = new, None
        for topic, unknown in old.unknown.items():
            due = new.unknown[topic].due if topic in new.unknown else math.inf
            new.unknown[topic] = unknown._replace(due=due)

    def _read(
        self, connection: Connection, payload: bytes, received: int, request: Request | None
    ) -> list[Event]:
        url = connection.channels[0].url if request is None else request.url
        self._taps.raw(url, received, payload)
        try:
            items = connection.decoder.read(payload, received, request)
        except UnreadableMessage as error:
            self._health.unreadable += 1
            self._health.problem = error.why
            self._taps.unreadable(self._exchange.name, received, payload, error.why)
            for channel in connection.channels if request is not None else ():
                if channel.snapshot == request:
                    since = None if channel.topic in connection.known else received
                    self._note(connection, Resync(channel.topic, since, error.why))
            return []
        for item in items:
            self._note(connection, item)
        found = [item for item in items if isinstance(item, Event)]
        if connection.unanswered and found:
            connection.heard(found)
        before = [*self._live(connection, received), *self._known(connection, received)]
        return [*before, *self._once(found, received)]

    def _note(self, connection: Connection, item: object) -> None:
        """Do what an item that is no event asks for."""
        if isinstance(item, Acknowledged | Refused):
            connection.answered(item)
        elif isinstance(item, Reply):
            task = asyncio.ensure_future(connection.socket.send(item.payload))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        elif isinstance(item, Resync) and item.topic in connection.topics:
            self._health.problem = item.reason
            connection.renew(item)
        elif isinstance(item, Synced):
            connection.known.add(item.topic)

    def _known(self, connection: Connection, received: int) -> list[Event]:
        """Return the gaps that end because order books are known again."""
        gaps: list[Event] = []
        for topic in connection.unknown.keys() & connection.known:
            unknown = connection.unknown.pop(topic)
            if connection is self._now and unknown.is_gap:
                missed = dict.fromkeys(self._pairs({topic}), unknown.since)
                gaps += self._gaps(missed, received, unknown.reason)
        return gaps

    def _live(self, connection: Connection, received: int) -> list[Event]:
        """Take note when all subscriptions are answered, and return the gaps that closes."""
        if connection.unanswered:
            return []
        if not connection.is_answered:
            is_first = self._lost_at is None and not self.before and connection is self._now
            connection.begin(received, is_first=is_first)
        if connection is self._next:
            if connection.unknown:
                return []
            old = self._now
            self._both_until = time.monotonic() + _OVERLAP
            if old is not None:
                self._succeed(old, connection)
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
        pairs = self._pairs(connection.topics)
        missed = {} if self._lost_at is None else dict.fromkeys(pairs, self._lost_at)
        missed.update((pair, since) for pair, since in self.before.items() if pair in pairs)
        self._lost_at, self.before = None, {}
        return self._gaps(missed, received, self._reason)

    def _pairs(self, topics: set[str]) -> set[tuple[str, str]]:
        """Return the kinds of symbols that topics bring."""
        return {
            (kind, symbol)
            for channel in self._channels
            if channel.topic in topics
            for kind in channel.kinds
            for symbol in self._symbols(channel)
        }

    def _gaps(self, missed: Mapping[tuple[str, str], int], until: int, reason: str) -> list[Event]:
        """Return the gaps of kinds of symbols that were missed, each since when."""
        found: list[Event] = [
            Gap(
                exchange=self._exchange.name,
                symbol=symbol,
                time=since,
                known_at=until,
                received=until,
                stream=kind,
                until=until,
                reason=reason,
            )
            for (kind, symbol), since in sorted(missed.items())
            if since < until
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
