"""What is asked for again and again, as a stream: at whole multiples of its period."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from plimsoll.errors import ExchangeError, UnreadableMessage
from plimsoll.feed.rest import ask
from plimsoll.feed.subscription import Taps
from plimsoll.market.events import Event, Gap
from plimsoll.market.interval import SECOND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from plimsoll.exchanges.base import Exchange, Poll
    from plimsoll.exchanges.reading import Listing
    from plimsoll.feed.health import Health
    from plimsoll.net.http import Client

__all__ = ["poll"]

_LATE = 1.5
"""How many periods may pass between two answers before something counts as missed."""


async def poll(
    client: Client,
    exchange: Exchange,
    plan: Poll,
    listings: Sequence[Listing],
    health: Health,
    *,
    since: Mapping[tuple[str, str], int] | None = None,
    taps: Taps | None = None,
) -> AsyncIterator[Event]:
    """Yield what a request answers, each time it is due, without end.

    Parameters
    ----------
    client : Client
    exchange : Exchange
    plan : Poll
    listings : sequence of Listing
        Of whom; what a bulk answer says of others is passed over.
    health : Health
        Kept up to date.
    since : mapping of (str, str) to int, optional, UTC nanoseconds
        Until when an earlier run recorded a kind of a symbol.
    taps : Taps, optional

    Yields
    ------
    Event
        Each fact once, and a `Gap` for each symbol where answers failed to come.
    """
    taps = taps or Taps()
    wanted = {listing.symbol for listing in listings}
    kind = plan.request.kind
    concerned = sorted({(o.instrument.exchange, o.symbol) for o in listings if plan.asks_of(o)})
    last, told = {symbol: when for (_, symbol), when in (since or {}).items()}, _Told()
    while True:
        await asyncio.sleep(_due(plan.every, plan.delay, time.time()))
        try:
            payload, received = await ask(client, exchange, plan.request)
            taps.raw(plan.request.url, received, payload)
            items = exchange.decoder(listings).read(payload, received, plan.request)
        except UnreadableMessage as error:
            health.unreadable += 1
            health.problem = error.why
            taps.unreadable(exchange.name, time.time_ns(), error.payload, error.why)
            continue
        except ExchangeError as error:
            health.state, health.problem = "lost", str(error)
            if not error.transient:
                health.state = "refused"
                raise
            continue
        health.state = "live"
        for name, symbol in concerned:
            before = last.get(symbol, received)
            if received - before > _LATE * plan.every * SECOND:
                health.gaps += 1
                yield _gap(name, symbol, kind, before, received, health)
        last.update((symbol, received) for _, symbol in concerned)
        for event in items:
            if isinstance(event, Event) and event.symbol in wanted and told.is_new(event):
                health.came(event.time, received)
                yield event
        health.heard = received


def _due(every: float, delay: float, now: float) -> float:
    """Return seconds until the next multiple of a period, and a delay, has come."""
    return every - (now - delay) % every


def _gap(name: str, symbol: str, kind: str, since: int, until: int, health: Health) -> Gap:
    return Gap(
        exchange=name,
        symbol=symbol,
        time=since,
        known_at=until,
        received=until,
        stream=kind,
        until=until,
        reason=health.problem or "not recorded",
    )


class _Told:
    """What was told already: an answer repeats the last rows of the one before."""

    def __init__(self) -> None:
        self._last: dict[tuple[object, ...], Event] = {}

    def is_new(self, event: Event) -> bool:
        """Return whether a fact, or its newest version, was not told yet."""
        key = (
            type(event),
            event.symbol,
            event.time,
            *(getattr(event, name) for name in type(event).key),
        )
        known = self._last.get(key)
        if known is not None and _same(known, event):
            return False
        self._last[key] = event
        if len(self._last) > 50_000:
            for old in list(self._last)[:25_000]:
                del self._last[old]
        return True


def _same(left: Event, right: Event) -> bool:
    """Return whether two events say the same, whenever they were received."""
    clocks = {"received", "known_at"}
    return all(
        getattr(left, name) == getattr(right, name)
        for name in left.__struct_fields__
        if name not in clocks
    )
