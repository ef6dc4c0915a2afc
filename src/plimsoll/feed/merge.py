"""Many streams as one: in order, with one event of each in memory, and nothing lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plimsoll.feed.replay import known

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from plimsoll.market.events import Event

    _Pending = dict[asyncio.Future[Event | None], int]

__all__ = ["gather", "merge"]


async def merge(
    *feeds: AsyncIterator[Event], patience: float | None = None
) -> AsyncIterator[Event]:
    """Yield the events of several streams in the order in which they could be known.

    Parameters
    ----------
    *feeds : async iterator of Event
        Each in that order itself.
    patience : float, optional, seconds
        How long to wait for a silent stream before the others go on without it. What it brings
        later comes late, and is not lost. None waits for ever, which a replay needs; live streams
        need some.

    Yields
    ------
    Event
        Of events known at the same moment, the stream named first comes first.

    Raises
    ------
    ValueError
        If patience is negative.
    """
    if patience is not None and patience < 0:
        raise ValueError(f"patience must not be negative; got {patience}")
    work = _Merge(feeds, patience)
    try:
        while await work.fill():
            if (event := work.first()) is not None:
                yield event
        if work.error is not None:
            raise work.error
    finally:
        await _stop(work.pending, feeds)


class _Merge:
    """The next event of each stream, or that it is silent."""

    def __init__(self, feeds: tuple[AsyncIterator[Event], ...], patience: float | None) -> None:
        self._feeds, self._patience = feeds, patience
        self.pending: _Pending = {}
        self.error: Exception | None = None
        self._heads: dict[int, Event] = {}
        self._silent: set[int] = set()
        for i in range(len(feeds)):
            self._ask(i)

    def _ask(self, i: int) -> None:
        self.pending[asyncio.ensure_future(anext(self._feeds[i], None))] = i

    def first(self) -> Event | None:
        """Take the event that could be known first, and ask its stream for another."""
        if not self._heads:
            return None
        i = min(self._heads, key=lambda one: (known(self._heads[one]), one))
        event = self._heads.pop(i)
        if self.error is None:  # after a failure what was taken is told, and no more is asked for
            self._ask(i)
        return event

    async def fill(self) -> bool:
        """Wait until each stream has shown an event, ended, or fallen silent.

        Returns whether there is anything left. One that used up our patience is not waited for
        again before it has spoken.
        """
        while self.pending and self.error is None:
            awaited = {future for future, i in self.pending.items() if i not in self._silent}
            if not awaited and self._heads:
                self._collect({future for future in self.pending if future.done()})
                return True
            wait = self._patience if self._heads and self._patience is not None else None
            done, _ = await asyncio.wait(
                self.pending, timeout=wait, return_when=asyncio.FIRST_COMPLETED
            )
            self._collect(done)
            if not done:
                self._silent.update(self.pending.values())
        return bool(self._heads)

    def _collect(self, done: set[asyncio.Future[Event | None]]) -> None:
        for future in done:
            i = self.pending.pop(future)
            self._silent.discard(i)
            error = future.exception()
            if isinstance(error, Exception):
                self.error = self.error or error
            elif error is not None:
                raise error
            elif (event := future.result()) is not None:
                self._heads[i] = event


async def _stop(pending: _Pending, feeds: tuple[AsyncIterator[Event], ...]) -> None:
    """Let no stream run on when nobody listens any more."""
    for future in pending:
        future.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for feed in feeds:
        if hasattr(feed, "aclose"):
            await feed.aclose()


async def gather(*feeds: AsyncIterator[Event], most: int = 10_000) -> AsyncGenerator[Event]:
    """Yield the events of several streams as they come.

    Parameters
    ----------
    *feeds : async iterator of Event
    most : int
        Events held at most; when there are so many, the streams wait.

    Yields
    ------
    Event
        Each stream's in its own order.

    Raises
    ------
    Exception
        What a stream raises; the others are closed first.
    """
    queue: asyncio.Queue[Event | BaseException | None] = asyncio.Queue(most)

    async def drain(feed: AsyncIterator[Event]) -> None:
        try:
            async for event in feed:
                await queue.put(event)
        except Exception as error:  # noqa: BLE001 (handed on to whoever reads)
            await queue.put(error)
        finally:
            if hasattr(feed, "aclose"):
                await feed.aclose()
        await queue.put(None)

    tasks = [asyncio.ensure_future(drain(feed)) for feed in feeds]
    left = len(tasks)
    try:
        while left:
            item = await queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
