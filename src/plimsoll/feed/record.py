"""A stream into the store: what was acknowledged survives a kill."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from plimsoll.market.schema import flaw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from plimsoll.market.events import Event
    from plimsoll.store.writer import Writer

__all__ = ["record"]

_MOST = 5_000


async def record(
    feed: AsyncIterator[Event],
    writer: Writer,
    *,
    every: float = 1.0,
    seal: float = 60.0,
    kept: Callable[[int], None] = lambda _count: None,
    rejected: Callable[[Event, str], None] = lambda _event, _why: None,
) -> int:
    """Append the events of a stream to a store until it ends or is cancelled.

    Parameters
    ----------
    feed : async iterator of Event
    writer : Writer
        It alone appends while this runs.
    every : float, seconds
        How long an event waits at most before it is on disk; a busy stream is written sooner.
    seal : float, seconds
        How often what was written is sealed, so that readers stay fast.
    kept : callable
        Told, after each write, how many events are now safe.
    rejected : callable
        Told each event that breaks a rule of its table, and which; the others are kept.

    Returns
    -------
    int
        How many were kept. If cancelled, what had come is kept first.

    Raises
    ------
    StoreUnusable
        If the disk refuses; what was reported as kept stays.
    ValueError
        If `every` or `seal` is not positive.
    """
    if not (every > 0 and seal > 0):
        raise ValueError(f"every and seal must be positive; got {every} and {seal}")
    work = _Recording(writer, kept, rejected)
    loop = asyncio.get_running_loop()
    following = asyncio.ensure_future(anext(feed, None))
    due, sealing = loop.time() + every, loop.time() + seal
    try:
        while True:
            await asyncio.wait({following}, timeout=max(0.0, due - loop.time()))
            if following.done():
                event = following.result()
                if event is None:
                    break
                work.batch.append(event)
                following = asyncio.ensure_future(anext(feed, None))
            if len(work.batch) >= _MOST or loop.time() >= due:
                await _finished(work.write)
                due = loop.time() + every
            if loop.time() >= sealing:
                await _finished(writer.close)
                sealing = loop.time() + seal
    finally:
        following.cancel()
        work.write()
    return work.count


class _Recording:
    """What waits to be written, and how much is."""

    def __init__(
        self,
        writer: Writer,
        kept: Callable[[int], None],
        rejected: Callable[[Event, str], None],
    ) -> None:
        self.batch: list[Event] = []
        self.count = 0
        self._writer, self._kept, self._rejected = writer, kept, rejected

    def write(self) -> None:
        """Append what waits; what the disk refuses goes on waiting."""
        good = []
        for event in self.batch:
            why = flaw(event)
            if why is None:
                good.append(event)
            else:
                self._rejected(event, why)
        self.batch = good
        if not good:
            return
        self._writer.append(good)
        self.batch = []
        self.count += len(good)
        self._kept(self.count)


async def _finished(work: Callable[[], Any]) -> None:
    """Do some work in a thread, to its end even if cancelled meanwhile."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
