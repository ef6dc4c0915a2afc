"""What an exchange is asked for over HTTP: its listings, a page of history, a poll's answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from plimsoll.errors import ExchangeError, UnreadableMessage
from plimsoll.exchanges.reading import UNREADABLE, Listing
from plimsoll.market.events import Event
from plimsoll.market.instrument import Brackets
from plimsoll.net.http import Allowance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from plimsoll.exchanges.base import Exchange
    from plimsoll.exchanges.reading import Request
    from plimsoll.net.http import Client

__all__ = ["Listed", "ask", "history", "listed"]


class Listed(NamedTuple):
    """What an exchange lists.

    Attributes
    ----------
    listings : list of Listing
    brackets : list of Brackets
        Where they are public.
    problems : list of str
        What was not answered, or could not be read.
    """

    listings: list[Listing]
    brackets: list[Brackets]
    problems: list[str]


async def ask(client: Client, exchange: Exchange, request: Request) -> tuple[bytes, int]:
    """Return an answer and the nanosecond it came at.

    Raises
    ------
    ExchangeError
        See `net.http.Client.ask`.
    """
    limit = next((one for one in exchange.limits if one.name == request.limit), exchange.limits[0])
    payload = await client.ask(
        request.method,
        request.url,
        Allowance(limit.name, limit.amount, limit.seconds, limit.header),
        query=request.query,
        body=request.body,
        weight=request.weight,
    )
    return payload, time.time_ns()


async def listed(client: Client, exchange: Exchange) -> Listed:
    """Return what an exchange lists now.

    What one of its markets does not answer is a problem told; the others are listed.

    Raises
    ------
    ExchangeError
        If nothing at all is listed.
    """
    found: dict[tuple[str, str], Listing] = {}
    brackets: list[Brackets] = []
    problems: list[ExchangeError] = []
    for first in exchange.instruments():
        try:
            async for item in _items(client, exchange, first, found):
                if isinstance(item, Listing):
                    found[item.category, item.native] = item
                elif isinstance(item, Brackets):
                    brackets.append(item)
        except ExchangeError as error:
            problems.append(error)
    if not found:
        raise problems[0] if problems else ExchangeError(exchange.name, "lists nothing")
    return Listed(list(found.values()), brackets, [str(problem) for problem in problems])


async def _items(
    client: Client, exchange: Exchange, first: Request, found: dict[tuple[str, str], Listing]
) -> AsyncIterator[object]:
    """Yield what all pages of a request for listings say."""
    request: Request | None = first
    while request is not None:
        payload, received = await ask(client, exchange, request)
        for item in exchange.decoder(found.values()).read(payload, received, request):
            yield item
        request = _following(exchange, request, payload)


def _following(exchange: Exchange, request: Request, payload: bytes) -> Request | None:
    """Return the request for the next page; None when there is no more.

    Raises
    ------
    UnreadableMessage
        If an answer does not tell.
    """
    try:
        return exchange.following(request, payload)
    except UNREADABLE as error:
        why = f"cannot tell the next page: {type(error).__name__}: {error}"
        raise UnreadableMessage(exchange.name, payload, why) from error


async def history(
    client: Client,
    exchange: Exchange,
    kind: str,
    listing: Listing,
    since: int,
    until: int,
    *,
    page: Callable[[Request], None] = lambda _request: None,
) -> AsyncIterator[list[Event]]:
    """Yield history page by page, in whatever order the exchange gives it.

    Parameters
    ----------
    client : Client
    exchange : Exchange
    kind : str
    listing : Listing
    since, until : int, UTC nanoseconds
        Half-open.
    page : callable
        Told each request before it is sent.

    Raises
    ------
    Unsupported
        If the exchange keeps none.
    ExchangeError
        If it cannot be asked, or an answer cannot be read.
    """
    request: Request | None = exchange.history(kind, listing, since, until)
    asked: set[bytes] = set()
    while request is not None:
        page(request)
        payload, received = await ask(client, exchange, request)
        read = exchange.decoder([listing]).read(payload, received, request)
        yield within(read, since, until)
        asked.add(msgspec.json.encode(request))
        request = _following(exchange, request, payload)
        if request is not None and msgspec.json.encode(request) in asked:
            raise UnreadableMessage(exchange.name, payload, "its next page is one we had")


def within(items: Iterable[object], since: int, until: int) -> list[Event]:
    """Return the events of a span."""
    return [item for item in items if isinstance(item, Event) and since <= item.time < until]
