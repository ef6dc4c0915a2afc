"""Many streams as one: in order, with one event of each in memory, and nothing lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plimsoll.feed.replay import known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    pending: _Pending = {
        asyncio.ensure_future(anext(feed, None)): i for i, feed in enumerate(feeds)
    }
    heads: dict[int, Event] = {}
    try:
        while pending or heads:
            await _fill(pending, heads, patience)
            if not heads:
                continue
            first = min(heads, key=lambda i: (known(heads[i]), i))
            event = heads.pop(first)
            pending[asyncio.ensure_future(anext(feeds[first], None))] = first
            yield event
    finally:
        await _stop(pending, feeds)


async def _fill(
    pending: _Pending,
    heads: dict[int, Event],
    patience: float | None,
) -> None:
    """Wait until each stream has shown an event, ended, or used up our patience."""
    while pending:
        wait = patience if heads else None
        done, _ = await asyncio.wait(pending, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return
        for future in done:
            i = pending.pop(future)
            event = future.result()
            if event is not None:
                heads[i] = event


async def _stop(pending: _Pending, feeds: tuple[AsyncIterator[Event], ...]) -> None:
    """Let no stream run on when nobody listens any more."""
    for future in pending:
        future.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for feed in feeds:
        if hasattr(feed, "aclose"):
            await feed.aclose()


async def gather(*feeds: AsyncIterator[Event], most: int = 10_000) -> AsyncIterator[Event]:
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
