"""History of one instrument from its exchange into the store, in windows that are done once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plimsoll.errors import ExchangeError, NoSuchData, Unsupported
from plimsoll.exchanges import exchange as known_exchange
from plimsoll.feed import rest
from plimsoll.feed.choice import choose
from plimsoll.market.interval import DAY
from plimsoll.net.http import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from plimsoll.exchanges.base import Exchange
    from plimsoll.exchanges.reading import Listing
    from plimsoll.store.writer import Writer

__all__ = ["Reached", "backfill"]

WINDOW = 10 * DAY
"""Nanoseconds of history asked for, written and ticked off together."""


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
        The exchange.
    symbol : str
        A unified symbol, or a coin.
    kinds : sequence of str
        Tables; empty for all with history.
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
    exchange = known_exchange(name)
    chosen_kinds = _kinds(exchange, kinds)
    async with Client(address) as client:
        found = await rest.listed(client, exchange)
        reached = []
        chosen = choose(found.listings, [symbol])
        writer.remember(listing.instrument for listing in chosen)
        for listing in chosen:
            for kind in chosen_kinds:
                work = _Series(writer, client, exchange, listing, kind)
                reached.append(await work.bring(*span, progress))
    if not reached:
        raise NoSuchData(f"{name} keeps no history of {symbol}")
    return reached


def _kinds(exchange: Exchange, wanted: Sequence[str]) -> list[str]:
    if wanted:
        for kind in wanted:
            if not exchange.offer(kind).history:
                raise Unsupported(exchange.name, kind, "has no history here")
        return list(wanted)
    return [kind for kind, offer in exchange.offers.items() if offer.history]


class _Series:
    """One kind of one instrument."""

    def __init__(
        self, writer: Writer, client: Client, exchange: Exchange, listing: Listing, kind: str
    ) -> None:
        self._writer, self._client, self._exchange = writer, client, exchange
        self._listing, self._kind = listing, kind
        folder = writer.layout.root / "recorder" / "backfill"
        safe = listing.symbol.replace("/", "~").replace(":", "@")
        self._place = folder / f"{exchange.name} {kind} {safe}.json"
        self._done: set[int] = _ticked(self._place)
        self._rows = 0
        self._oldest: int | None = None

    async def bring(
        self, since: int, until: int, progress: Callable[[str, int, int], None]
    ) -> Reached:
        """Bring all windows, the newest first, until one is empty or all are done."""
        first, last = since // WINDOW, (until - 1) // WINDOW
        what = f"{self._exchange.name} {self._kind} {self._listing.symbol}"
        why = "the start asked for"
        for count, window in enumerate(range(last, first - 1, -1)):
            progress(what, count, last - first + 1)
            if window in self._done:
                continue
            start, end = max(since, window * WINDOW), min(until, (window + 1) * WINDOW)
            try:
                came = await self._window(start, end)
            except (Unsupported, ExchangeError) as error:
                if isinstance(error, ExchangeError) and error.transient:
                    raise
                why = str(error)
                break
            if start == window * WINDOW and end == (window + 1) * WINDOW:
                self._tick(window)
            if not came and count > 0:
                kept = self._exchange.offers[self._kind].history
                why = f"the exchange has nothing older (it keeps: {kept})"
                break
        progress(what, last - first + 1, last - first + 1)
        return Reached(self._listing.symbol, self._kind, self._rows, self._oldest, why)

    async def _window(self, since: int, until: int) -> int:
        """Bring one window, and return how many rows came."""
        came = 0
        pages = rest.history(self._client, self._exchange, self._kind, self._listing, since, until)
        async for page in pages:
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
        aside = self._place.with_suffix(".new")
        aside.write_text(json.dumps(sorted(self._done)), encoding="utf-8")
        aside.replace(self._place)


def _ticked(place: Path) -> set[int]:
    try:
        return {int(window) for window in json.loads(place.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError):
        return set()
