"""What happens now, as a stream: a source computed beside it, at the pace of the clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plimsoll.feed.replay import known, ordered
from plimsoll.market.interval import SECOND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from plimsoll.market.events import Event
    from plimsoll.market.schema import Batch

__all__ = ["live"]

_AT_ONCE = 256
"""Events fetched from the source at a time, and so held at most."""


async def live(source: Iterator[Batch], *, speed: float = 1.0) -> AsyncIterator[Event]:
    """Yield the events of a source that has no end, each when it is due.

    The source runs in a thread, so that computing its next batch does not hold up anybody. When
    the reader is slower than the clock nothing is dropped: the stream falls behind.

    Parameters
    ----------
    source : iterator of Batch
        Such as `Simulation.go_on` gives.
    speed : float
        Seconds of the source's time in one second of ours.

    Yields
    ------
    Event
        In the order in which they could be known.

    Raises
    ------
    ValueError
        If the speed is not positive.
    """
    if not speed > 0:
        raise ValueError(f"speed must be positive; got {speed}")
    loop = asyncio.get_running_loop()
    events = ordered(source)
    began: tuple[float, int] | None = None
    while some := await asyncio.to_thread(_take, events):
        for event in some:
            began = began or (loop.time(), known(event))
            due = began[0] + (known(event) - began[1]) / SECOND / speed
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            yield event


def _take(events: Iterator[Event]) -> list[Event]:
    """Return the next events, none when the source has ended."""
    taken = []
    for event in events:
        taken.append(event)
        if len(taken) >= _AT_ONCE:
            break
    return taken
