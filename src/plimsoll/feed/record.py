"""A stream into the store: what was acknowledged survives a kill."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

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

    Returns
    -------
    int
        How many were kept: all that the stream gave. If cancelled, what had come is kept first.

    Raises
    ------
    StoreUnusable
        If the disk refuses; what was reported as kept stays.
    ValueError
        If `every` or `seal` is not positive.
    """
    if not (every > 0 and seal > 0):
        raise ValueError(f"every and seal must be positive; got {every} and {seal}")
    loop = asyncio.get_running_loop()
    count = 0
    batch: list[Event] = []
    following = asyncio.ensure_future(anext(feed, None))
    due, sealing = loop.time() + every, loop.time() + seal
    try:
        while True:
            await asyncio.wait({following}, timeout=max(0.0, due - loop.time()))
            if following.done():
                event = following.result()
                if event is None:
                    return count + len(batch)
                batch.append(event)
                following = asyncio.ensure_future(anext(feed, None))
            if len(batch) >= _MOST or loop.time() >= due:
                full, batch = batch, []
                # Not to be cancelled half-way: a batch is either in the journal or still here.
                await asyncio.shield(asyncio.to_thread(writer.append, full))
                count += len(full)
                kept(count)
                due = loop.time() + every
            if loop.time() >= sealing:
                await asyncio.shield(asyncio.to_thread(writer.close))
                sealing = loop.time() + seal
    finally:
        following.cancel()
        if batch:
            writer.append(batch)
            kept(count + len(batch))
