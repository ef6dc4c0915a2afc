"""A stream into the store: what was acknowledged survives a kill.

What has come is appended several times a second. What was appended is settled each minute and
sealed each hour, beside that: appending does not wait for it. Where so much comes that settling
takes long, it is done less often, so that most of the time is left to others.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from plimsoll.market.schema import flaw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from plimsoll.market.events import Event
    from plimsoll.store.writer import Writer

__all__ = ["record"]

_MOST = 5_000
_REST = 5
"""What took some time to settle is settled again after that many times as long, at the earliest."""


async def record(
    feed: AsyncIterator[Event],
    writer: Writer,
    *,
    every: float = 1.0,
    settle: float = 60.0,
    seal: float = 3_600.0,
    kept: Callable[[list[Event]], None] = lambda _events: None,
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
    settle, seal : float, seconds
        How often what was written is settled and sealed, so that readers stay fast.
    kept : callable
        Told, after each write, the events that are now safe, in the order they came.
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
        If `every`, `settle` or `seal` is not positive.
    """
    if not (every > 0 and settle > 0 and seal > 0):
        raise ValueError(
            f"every, settle and seal must be positive; got {every}, {settle} and {seal}"
        )
    work = _Recording(writer, kept, rejected)
    chores = _Chores(writer, settle, seal)
    loop = asyncio.get_running_loop()
    source = asyncio.ensure_future(work.take(feed))
    full = asyncio.ensure_future(work.full.wait())
    due = loop.time() + every
    try:
        while not source.done():
            if full.done():
                full = asyncio.ensure_future(work.full.wait())
            await asyncio.wait(
                {source, full},
                timeout=max(0.0, due - loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            await _finished(work.write)
            work.emptied()
            due = loop.time() + every
            chores.see_to()
        source.result()
    finally:
        full.cancel()
        source.cancel()
        await _ended(source)
        await chores.end()
        try:
            work.write()
        finally:
            if hasattr(feed, "aclose"):
                await feed.aclose()
    return work.count


class _Recording:
    """What waits to be written, and how much is."""

    def __init__(
        self,
        writer: Writer,
        kept: Callable[[list[Event]], None],
        rejected: Callable[[Event, str], None],
    ) -> None:
        self.batch: list[Event] = []
        self.count = 0
        self.full, self._room = asyncio.Event(), asyncio.Event()
        self._writer, self._kept, self._rejected = writer, kept, rejected

    async def take(self, feed: AsyncIterator[Event]) -> None:
        """Let events of a stream wait to be written; when too many do, the stream waits."""
        async for event in feed:
            self.batch.append(event)
            if len(self.batch) >= _MOST:
                self._room.clear()
                self.full.set()
                await self._room.wait()

    def emptied(self) -> None:
        """Let the stream go on."""
        self.full.clear()
        self._room.set()

    def write(self) -> None:
        """Append what waits; what the disk refuses goes on waiting."""
        if not self.batch:
            return
        taken = self.batch[:]  # more may come while this is written
        try:
            self._writer.append(taken)
        except ValueError:  # one or more break a rule: the others are kept
            taken = self._sound()
            self._writer.append(taken)
        del self.batch[: len(taken)]
        self.count += len(taken)
        self._kept(taken)

    def _sound(self) -> list[Event]:
        """Take out of what waits what breaks a rule, and return the rest."""
        waiting = self.batch[:]
        good = []
        for event in waiting:
            why = flaw(event)
            if why is None:
                good.append(event)
            else:
                self._rejected(event, why)
        self.batch[: len(waiting)] = good
        return good


class _Chores:
    """Settling and sealing, one at a time, in a thread."""

    def __init__(self, writer: Writer, settle: float, seal: float) -> None:
        self._writer, self._settle, self._seal = writer, settle, seal
        self._settled = self._sealed = time.monotonic()
        self._took = 0.0
        self._task: asyncio.Future[None] | None = None

    def see_to(self) -> None:
        """Begin what is due, unless the last is still at work; raise what went wrong there."""
        if self._task is not None and self._task.done():
            self._task.result()
            self._task = None
        now = time.monotonic()
        if self._task is not None:
            return
        if now - self._sealed >= self._seal:
            self._sealed = self._settled = now
            self._task = asyncio.ensure_future(asyncio.to_thread(self._writer.seal))
        elif now - self._settled >= max(self._settle, _REST * self._took):
            self._settled = now
            self._task = asyncio.ensure_future(asyncio.to_thread(self._settle_some))

    def _settle_some(self) -> None:
        began = time.monotonic()
        self._writer.settle()
        self._took = time.monotonic() - began

    async def end(self) -> None:
        """Wait for what is at work; if it fails, the writer's last seal meets the same."""
        if self._task is not None:
            await _ended(self._task)
            self._task.exception()


async def _finished(work: Callable[[], Any]) -> None:
    """Do some work in a thread, to its end even if cancelled meanwhile."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await _ended(task)
        raise


async def _ended(task: asyncio.Future[Any]) -> None:
    """Wait for the end of what was told to end, however often we are cancelled."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
