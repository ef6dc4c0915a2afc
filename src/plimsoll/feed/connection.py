"""One connection of a subscription: what is asked on it, what answered, which books are known."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, NamedTuple

from plimsoll.errors import ConnectionLost, ExchangeError
from plimsoll.exchanges.books import KINDS
from plimsoll.exchanges.reading import UNREADABLE, Acknowledged, Refused, Resync
from plimsoll.feed import rest
from plimsoll.net.websocket import Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.exchanges.base import Channel, Exchange, Ping
    from plimsoll.exchanges.reading import Listing, Request
    from plimsoll.market.events import Event
    from plimsoll.net.http import Client

    Answer = tuple[bytes, int, Request | None]
    Item = tuple["Connection", Answer | ExchangeError]

__all__ = ["Connection"]

ANSWER = 30.0
"""Seconds within which subscriptions must be answered."""
RENEWAL = 5.0
"""Seconds that lie between two times at least that one order book is had anew."""


class _Unknown(NamedTuple):
    """An order book that is not known.

    Attributes
    ----------
    since : int, UTC nanoseconds
    reason : str
    due : float, seconds of the monotonic clock
        When it must be there again.
    is_gap : bool
        Whether it was recorded before.
    """

    since: int
    reason: str
    due: float = math.inf
    is_gap: bool = True


class Connection:
    """One connection of a subscription, reading into a queue."""

    def __init__(
        self,
        exchange: Exchange,
        channels: Sequence[Channel],
        listings: Iterable[Listing],
        queue: asyncio.Queue[Item],
        address: Callable[[str], str],
        client: Client | None,
    ) -> None:
        self.channels = list(channels)
        self.topics = {channel.topic for channel in channels}
        self.unanswered = set(self.topics)
        self.refused: list[Refused] = []
        self.is_answered = False
        self.known: set[str] = set()
        self.unknown: dict[str, _Unknown] = {}
        self.decoder = exchange.decoder(listings)
        self._exchange, self._queue = exchange, queue
        self._address, self._client = address, client
        self._renewed: dict[str, float] = {}
        self._asking: set[asyncio.Task[None]] = set()
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
        payload, _ = await rest.ask(self._client, self._exchange, ticket)
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
                async for payload, received in self.socket.frames():
                    await self._queue.put((self, (payload, received, None)))
        except ExchangeError as error:
            await self._queue.put((self, error))

    async def close(self) -> None:
        """End the connection."""
        tasks = {self._task, *self._asking}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)  # whoever cancels us meanwhile is heard
        for task in tasks:
            if not task.cancelled():
                task.exception()

    @property
    def is_late(self) -> bool:
        """Whether it should have been answered by now."""
        return bool(self.unanswered) and time.monotonic() - self.born > ANSWER

    @property
    def overdue(self) -> list[str]:
        """Topics whose order book should be there again by now."""
        now = time.monotonic()
        return [topic for topic, unknown in self.unknown.items() if now > unknown.due]

    def begin(self, received: int, *, is_first: bool) -> None:
        """Wait for the order books that have not come yet, now that all is subscribed."""
        self.is_answered = True
        without = self.known | {one.topic for one in self.refused}
        for channel in self.channels:
            if channel.topic in without or not set(channel.kinds) & set(KINDS):
                continue
            why = "its order book is awaited"
            unknown = _Unknown(received, why, is_gap=not is_first)
            self.unknown.setdefault(channel.topic, unknown)
            if channel.snapshot is not None:
                self.renew(Resync(channel.topic, received, why))

    def renew(self, item: Resync) -> None:
        """Have an order book anew: at once, or some time after it was last had anew."""
        channel = next(one for one in self.channels if one.topic == item.topic)
        now = time.monotonic()
        at = max(now, self._renewed.get(item.topic, -math.inf) + RENEWAL)
        self._renewed[item.topic] = at
        if item.since is not None:
            self.known.discard(item.topic)
            # A request waits for its allowance as long as it takes, and tells if it fails.
            due = at + ANSWER if channel.snapshot is None else math.inf
            first = self.unknown.get(item.topic, _Unknown(item.since, item.reason, due))
            self.unknown[item.topic] = first._replace(due=due)
        task = asyncio.ensure_future(self._renew(channel, at - now))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _renew(self, channel: Channel, wait: float) -> None:
        await asyncio.sleep(wait)
        try:
            if channel.snapshot is None:
                for frame in self._exchange.unsubscribe([channel]):
                    await self.socket.send(frame)
                for frame in self._exchange.subscribe([channel]):
                    await self.socket.send(frame)
            elif self._client is not None:  # as `subscription` demands
                answer = await rest.ask(self._client, self._exchange, channel.snapshot)
                await self._queue.put((self, (*answer, channel.snapshot)))
        except ExchangeError as error:
            if error.transient:
                await self._queue.put((self, error))
            else:
                self.unknown.pop(channel.topic, None)
                self.refused.append(Refused(channel.topic, str(error)))

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
