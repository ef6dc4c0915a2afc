"""Events as a stream: stored or simulated, past or going on, in the order they could be known.

A batch holds all rows that were known before its end, and perhaps some that become known later:
a candle is filed under its opening and known at its close. Those wait for their turn. So the
stream does not depend on how history is cut into batches, and a stored market streams as the
market itself did.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from plimsoll.errors import NoSuchData
from plimsoll.market.events import EVENTS
from plimsoll.market.interval import SECOND
from plimsoll.market.schema import TABLES, Batch, events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from plimsoll.market.events import Event
    from plimsoll.store.reader import Reader

__all__ = ["known", "ordered", "replay", "stored"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE = 256
"""Events fetched at a time, and so held at most."""
_RANK = {kind: rank for rank, kind in enumerate(EVENTS)}


def known(event: Event) -> int:
    """Return when an event could first be known, in UTC nanoseconds."""
    return event.time if event.known_at is None else event.known_at


def _order(event: Event) -> tuple[Any, ...]:
    """Return what events are sorted by: no two facts are equal in it."""
    kind: str = type(event).__struct_config__.tag  # type: ignore[assignment]
    key = tuple(str(getattr(event, name)) for name in TABLES[kind].key[3:])
    return known(event), _RANK[kind], event.exchange, event.symbol, event.time, key


def ordered(batches: Iterable[Batch]) -> Iterator[Event]:
    """Yield the events of batches in the order in which they could be known.

    Parameters
    ----------
    batches : iterable of Batch
        Their ends must rise.

    Yields
    ------
    Event
        Holds one batch in memory, and what still waits of those before.
    """
    waiting: list[tuple[tuple[Any, ...], Event]] = []
    for batch in batches:
        until = (batch.until - _EPOCH) // timedelta(microseconds=1) * 1_000
        fresh = [event for kind, frame in batch.tables.items() for event in events(kind, frame)]
        waiting.extend((_order(event), event) for event in fresh)
        waiting.sort(key=lambda item: item[0])
        ready = next((i for i, item in enumerate(waiting) if item[0][0] >= until), len(waiting))
        for _, event in waiting[:ready]:
            yield event
        del waiting[:ready]
    for _, event in waiting:
        yield event


def stored(
    reader: Reader,
    *,
    kinds: Iterable[str] = (),
    exchanges: Iterable[str] = (),
    symbol: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    as_of: datetime | None = None,
    step: timedelta = timedelta(days=1),
) -> Iterator[Batch]:
    """Yield what a store holds, stretch by stretch.

    Parameters
    ----------
    reader : Reader
    kinds, exchanges : iterable of str
        All if empty.
    symbol : str, optional
        All if None.
    since, until, as_of : datetime, optional
        ``since ≤ time < until``, with what was known by then.
    step : timedelta
        How much is read at a time.

    Raises
    ------
    NoSuchData
        If nothing stored matches.
    ValueError
        If there is no such kind.
    """
    chosen, wanted = list(kinds), list(exchanges)
    if unknown := [kind for kind in chosen if kind not in TABLES]:
        raise ValueError(f"there is no table {unknown[0]!r}; known: {', '.join(TABLES)}")
    names = {s.kind for s in reader.series(None, wanted, symbol)}
    found = sorted(names & set(chosen) if chosen else names, key=_RANK.__getitem__)
    spans = [span for kind in found if (span := reader.span(kind, wanted, symbol)) is not None]
    if not spans:
        raise NoSuchData(f"nothing to replay is stored in {reader.layout.root}")
    first = max(filter(None, (min(a for a, _ in spans), since)))
    last = min(filter(None, (max(b for _, b in spans), until)))
    while first < last:
        end = min(first + step, last)
        tables = {
            kind: frame
            for kind in found
            if (
                frame := reader.read(
                    kind, exchanges=wanted, symbol=symbol, since=first, until=end, as_of=as_of
                )
            ).height
        }
        yield Batch(end, tables)
        first = end


async def replay(batches: Iterable[Batch], *, speed: float | None = None) -> AsyncIterator[Event]:
    """Yield events, past or just being made, as if they happened now.

    What makes the batches runs in a thread, so that reading, or computing, the next one holds
    nobody up. When the reader is slower than the clock nothing is dropped: the stream falls behind.

    Parameters
    ----------
    batches : iterable of Batch
        Such as `stored`, `Simulation.batches` and `Simulation.go_on` give.
    speed : float, optional
        Seconds of the events' time in one second of ours; as fast as possible if None.

    Yields
    ------
    Event
        In the order in which they could be known.

    Raises
    ------
    ValueError
        If the speed is not positive and finite.
    """
    if speed is not None and not 0 < speed < math.inf:
        raise ValueError(f"speed must be positive and finite; got {speed}")
    loop = asyncio.get_running_loop()
    events = ordered(batches)
    began: tuple[float, int] | None = None
    while some := await asyncio.to_thread(_take, events):
        for event in some:
            if speed is not None:
                began = began or (loop.time(), known(event))
                due = began[0] + (known(event) - began[1]) / SECOND / speed
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait)
            yield event


def _take(events: Iterator[Event]) -> list[Event]:
    """Return the next events, none when the source has ended."""
    return list(itertools.islice(events, _AT_ONCE))
