"""History of one instrument from its exchange into the store, in windows that are done once."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from plimsoll.errors import ExchangeError, NoSuchData, Unsupported
from plimsoll.exchanges import exchange as known_exchange
from plimsoll.feed import rest
from plimsoll.feed.choice import choose
from plimsoll.feed.through_ccxt import PREFIX, through_ccxt
from plimsoll.market.interval import DAY
from plimsoll.net.http import Client
from plimsoll.store.layout import put_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from plimsoll.exchanges.base import Exchange, Offer
    from plimsoll.exchanges.reading import Listing
    from plimsoll.market.events import Event
    from plimsoll.store.writer import Writer

__all__ = ["Reached", "backfill"]

_LISTING = "instrument"
"""What is no table, but may be asked for like one: what an exchange lists, and nothing else."""


@dataclass(frozen=True)
class Reached:
    """How far back a kind of history went.

    Attributes
    ----------
    symbol, kind : str
    rows : int
        Kept now.
    oldest : int or None, UTC nanoseconds
        The oldest row that came; None if none did.
    why : str
        Why it stops there.
    """

    symbol: str
    kind: str
    rows: int
    oldest: int | None
    why: str


async def backfill(
    writer: Writer,
    name: str,
    symbol: str,
    kinds: Sequence[str],
    span: tuple[int, int],
    *,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    address: Callable[[str], str] = lambda url: url,
) -> list[Reached]:
    """Bring the history of an instrument, or of all contracts of a coin, into the store.

    Windows that were brought before are passed over, so that it may be interrupted and begun again.

    Parameters
    ----------
    writer : Writer
    name : str
        The exchange; ``ccxt:phemex`` is one that ccxt knows.
    symbol : str
        A unified symbol, or a coin.
    kinds : sequence of str
        Tables, or ``instrument``, which comes with each; empty for all with history.
    span : tuple of since and until
        UTC nanoseconds.
    progress : callable
        Told what is being brought, how many windows are done, and how many there are.
    address : callable, optional
        Returns the URL to use in place of one.

    Raises
    ------
    Unsupported
        If the exchange keeps no history of a kind that is named.
    NoSuchData
        If it lists no such instrument.
    ExchangeError
        If it cannot be asked.
    """
    writer.layout.refuse_simulated()
    async with _source(name, address) as source:
        chosen_kinds = _kinds(source, kinds)
        reached: list[Reached] = []
        chosen = choose(await source.listed(), [symbol])
        markets = [listing for listing in chosen if listing.is_market]
        writer.remember(listing.instrument for listing in markets)
        if _LISTING in kinds:
            now, why = time.time_ns(), "what is listed now"
            reached += [Reached(one.symbol, _LISTING, 1, now, why) for one in markets]
        for listing in chosen:
            for kind in chosen_kinds:
                work = _Series(writer, source, listing, kind)
                reached.append(await work.bring(*span, progress))
    if not reached:
        raise NoSuchData(f"{name} keeps no history of {symbol}")
    return reached


class _Source(Protocol):
    """Where history comes from."""

    name: str
    offers: Mapping[str, Offer]

    async def listed(self) -> list[Listing]: ...

    def history(
        self, kind: str, listing: Listing, since: int, until: int
    ) -> AsyncIterator[list[Event]]: ...


class _Translated:
    """An exchange that is translated here."""

    def __init__(self, client: Client, exchange: Exchange) -> None:
        self.name, self.offers = exchange.name, exchange.offers
        self._client, self._exchange = client, exchange

    async def listed(self) -> list[Listing]:
        return (await rest.listed(self._client, self._exchange)).listings

    def history(
        self, kind: str, listing: Listing, since: int, until: int
    ) -> AsyncIterator[list[Event]]:
        return rest.history(self._client, self._exchange, kind, listing, since, until)


@asynccontextmanager
async def _source(name: str, address: Callable[[str], str]) -> AsyncIterator[_Source]:
    if name.startswith(PREFIX):
        async with through_ccxt(name.removeprefix(PREFIX), address) as other:
            yield other
    else:
        exchange = known_exchange(name)
        async with Client(address) as client:
            yield _Translated(client, exchange)


def _kinds(source: _Source, wanted: Sequence[str]) -> list[str]:
    kept = [kind for kind, offer in source.offers.items() if offer.history]
    for kind in wanted:
        if kind not in source.offers and kind != _LISTING:
            raise Unsupported(source.name, kind, "is not published")
        if kind not in kept and kind != _LISTING:
            raise Unsupported(source.name, kind, "has no history here")
    return [kind for kind in wanted if kind != _LISTING] if wanted else kept


class _Series:
    """One kind of one instrument."""

    def __init__(self, writer: Writer, source: _Source, listing: Listing, kind: str) -> None:
        self._writer, self._source = writer, source
        self._listing, self._kind = listing, kind
        folder = writer.layout.root / "recorder" / "backfill"
        safe = listing.symbol.replace("/", "~").replace(":", "@")
        self._place = folder / f"{source.name} {kind} {safe}.json"
        self._length = source.offers[kind].window * DAY  # written and ticked off together
        self._done: set[int] = _ticked(self._place)
        self._rows = 0
        self._oldest: int | None = None

    async def bring(
        self, since: int, until: int, progress: Callable[[str, int, int], None]
    ) -> Reached:
        """Bring all windows, the newest first, until one is empty or all are done."""
        length = self._length
        first, last = since // length, (until - 1) // length
        what = f"{self._source.name} {self._kind} {self._listing.symbol}"
        why = "the start asked for"
        for count, window in enumerate(range(last, first - 1, -1)):
            progress(what, count, last - first + 1)
            if window in self._done:
                continue
            start, end = max(since, window * length), min(until, (window + 1) * length)
            try:
                came = await self._window(start, end)
            except (Unsupported, ExchangeError) as error:
                if isinstance(error, ExchangeError) and error.transient:
                    raise
                why = str(error)
                break
            if start == window * length and end == (window + 1) * length:
                self._tick(window)
            if not came and count > 0:
                kept = self._source.offers[self._kind].history
                why = f"the exchange has nothing older (it keeps: {kept})"
                break
        progress(what, last - first + 1, last - first + 1)
        return Reached(self._listing.symbol, self._kind, self._rows, self._oldest, why)

    async def _window(self, since: int, until: int) -> int:
        """Bring one window, and return how many rows came."""
        came = 0
        async for page in self._source.history(self._kind, self._listing, since, until):
            if page:
                self._writer.append(page)
                came += len(page)
                oldest = min(event.time for event in page)
                self._oldest = min(oldest, self._oldest or oldest)
        self._rows += came
        return came

    def _tick(self, window: int) -> None:
        self._done.add(window)
        self._place.parent.mkdir(parents=True, exist_ok=True)
        put_text(self._place, json.dumps(sorted(self._done)))


def _ticked(place: Path) -> set[int]:
    try:
        return {int(window) for window in json.loads(place.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError):
        return set()
