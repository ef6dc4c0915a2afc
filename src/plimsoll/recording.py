"""Exchanges into the store: what is recorded, since when, and what was missed.

A recording is made of streams: subscriptions, a socket each, and polls. All bring events into one
queue, which one writer keeps. Beside the store's tables stand::

    STORE/
    ├── recorder/EXCHANGE.json   until when each kind of each symbol was recorded
    ├── unreadable/EXCHANGE.jsonl  messages that could not be read, whole
    └── raw/EXCHANGE/            with `keep_raw`: every frame as it came, zstd
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec.structs import replace

from plimsoll.errors import (
    ExchangeError,
    NoSuchData,
    Rejected,
    StoreUnusable,
    UnreadableMessage,
)
from plimsoll.exchanges import exchange as known_exchange
from plimsoll.feed import rest
from plimsoll.feed.choice import choose, kinds_of, largest
from plimsoll.feed.files import Files
from plimsoll.feed.health import Health
from plimsoll.feed.heard import Heard
from plimsoll.feed.merge import gather
from plimsoll.feed.poll import poll
from plimsoll.feed.record import record
from plimsoll.feed.subscription import Taps, subscription
from plimsoll.feed.wallets import Wallets, positions
from plimsoll.market.events import Event, Gap
from plimsoll.net.http import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from plimsoll.exchanges.base import Channel
    from plimsoll.exchanges.reading import Listing
    from plimsoll.feed.rest import Listed
    from plimsoll.store.writer import Writer

__all__ = ["Recording", "Wanted", "record_exchanges"]

FILLED = "filled from history:"
"""How the reason of a gap begins that has been filled."""
_REPAIR = 86_400 * 1_000_000_000
"""The longest gap that is asked for again, nanoseconds."""
_NOTED = 0.1
"""How often it is noted how far streams have come, seconds."""
_RELISTED = 6 * 3_600.0
"""How often listings are asked for again, seconds."""
_AGAIN = 300.0
"""When an exchange that could not be asked for all its listings is asked again, seconds."""
_PATIENCE = 60.0
"""How long a ban may be that is waited out without a word, seconds."""
_PROBLEMS = 200
_NOT_HERE = "451"
"""With what status a region is refused."""


class _ListsMore(Exception):
    """An exchange lists something new that is wanted."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be recorded of an exchange.

    Attributes
    ----------
    exchange : str
    symbols : tuple of str
        Coins or unified symbols; empty for all.
    kinds : tuple of str
        Tables; empty for `feed.choice.DEFAULT_KINDS` as far as they are published.
    top : int or None
        Only so many instruments, by open interest.
    """

    exchange: str
    symbols: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    top: int | None = None


@dataclass
class Recording:
    """What goes on while exchanges are recorded.

    Attributes
    ----------
    health : list of Health
        One for each stream.
    kept : int
        Events that are safe.
    problems : list of str
        What cannot be recorded, and why.
    """

    health: list[Health] = field(default_factory=list)
    kept: int = 0
    problems: list[str] = field(default_factory=list)

    def tell(self, problem: str) -> None:
        """Note what went wrong, once; of very many, the newest."""
        if problem not in self.problems:
            self.problems.append(problem)
            del self.problems[:-_PROBLEMS]


async def record_exchanges(
    writer: Writer,
    wanted: Sequence[Wanted],
    recording: Recording,
    *,
    keep_raw: bool = False,
    address: Callable[[str], str] = lambda url: url,
) -> None:
    """Record exchanges until cancelled, or until each has refused.

    Parameters
    ----------
    writer : Writer
    wanted : sequence of Wanted
    recording : Recording
        Kept up to date, for whoever looks.
    keep_raw : bool
        Keep every frame as it came, too.
    address : callable, optional
        Returns the URL to use in place of one.

    Raises
    ------
    ExchangeError
        If nothing at all can be recorded.
    StoreUnusable
        If the disk refuses; everything acknowledged is safe.
    ValueError
        If an exchange is named twice.
    """
    writer.layout.refuse_simulated()
    root, names = writer.layout.root, [one.exchange for one in wanted]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"name each exchange once; named twice: {', '.join(twice)}")
    with ExitStack() as stack:
        async with Client(address, patience=_PATIENCE) as client:
            works = [
                stack.enter_context(_Work(root, client, one, recording, keep_raw, address))
                for one in wanted
            ]
            openings = [asyncio.ensure_future(work.opened(writer)) for work in works]
            stack.callback(lambda: [opening.cancel() for opening in openings])
            if not await _any_opened(openings):
                raise ExchangeError("record", "; ".join(recording.problems) or "nothing to record")
            kept = _kept(recording, works)
            refused = _rejected(works, recording)
            feeds = [work.stream(writer, one) for work, one in zip(works, openings, strict=True)]
            try:
                await record(gather(*feeds), writer, every=0.1, kept=kept, rejected=refused)
            except OSError as error:  # of a file beside the tables
                why = f"the disk refused ({error.strerror}); everything acknowledged is safe"
                raise StoreUnusable(root, why) from error


async def _any_opened(openings: Sequence[asyncio.Future[list[AsyncIterator[Event]]]]) -> bool:
    """Wait until an exchange can be recorded; False when all have failed."""
    for opening in asyncio.as_completed(openings):
        if await opening:
            return True
    return False


def _kept(recording: Recording, works: list[_Work]) -> Callable[[list[Event]], None]:
    def kept(events: list[Event]) -> None:
        recording.kept += len(events)
        counted = Counter((event.exchange, _kind(event)) for event in events)
        for (exchange, kind), count in counted.items():
            _owner(works, exchange, kind).kept(count)

    return kept


def _rejected(works: list[_Work], recording: Recording) -> Callable[[Event, str], None]:
    def rejected(event: Event, why: str) -> None:
        _owner(works, event.exchange, _kind(event)).rejected(event, why)
        recording.tell(f"{event.exchange}: {why}")

    return rejected


def _owner(works: list[_Work], exchange: str, kind: str) -> _Work:
    """Return whose an event is: a source may tell of other exchanges than itself."""
    telling = [work for work in works if exchange in work.tells_of]
    return next((work for work in telling if kind in work.exchange.offers), telling[0])


class _Work:
    """One exchange's part of a recording."""

    def __init__(
        self,
        root: Path,
        client: Client,
        wanted: Wanted,
        recording: Recording,
        keep_raw: bool,
        address: Callable[[str], str],
    ) -> None:
        self.exchange = known_exchange(wanted.exchange)
        self.tells_of = {self.exchange.name}
        self._client, self._wanted, self._recording = client, wanted, recording
        self._address = address
        self._heard = Heard(root / "recorder" / f"{wanted.exchange}.json")
        self._files = Files(root, wanted.exchange, keep_raw)
        self._health: list[Health] = []
        self._holes: asyncio.Queue[Gap] = asyncio.Queue(10_000)
        self._wallets = Wallets()
        self._listings: list[Listing] = []
        self._kinds: set[str] = set()
        self._symbols: set[str] = set()
        self._is_barred = self._is_partial = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    async def stream(
        self, writer: Writer, opening: Awaitable[list[AsyncIterator[Event]]]
    ) -> AsyncIterator[Event]:
        """Yield what the streams bring, opened anew whenever the exchange lists more of it.

        It ends when the exchange does not serve this region.
        """
        feeds = await opening
        while not self._is_barred:
            if feeds:
                with suppress(_ListsMore):
                    async with aclosing(gather(*feeds, self._watch(), self._notes())) as events:
                        async for event in events:
                            self._heard.passes()
                            yield event
                self._heard.restarts()
            else:
                await asyncio.sleep(_AGAIN)
            feeds = await self.opened(writer)

    async def opened(self, writer: Writer) -> list[AsyncIterator[Event]]:
        """Return the streams that bring what is wanted; what cannot be had is a problem told."""
        try:
            kinds = kinds_of(self.exchange, self._wanted.kinds)
            found, chosen = await self._look()
        except (ExchangeError, NoSuchData) as error:
            where = "" if isinstance(error, ExchangeError) else f"{self.exchange.name}: "
            self._recording.tell(f"{where}{error}")
            self._is_barred = isinstance(error, Rejected) and error.code == _NOT_HERE
            return []
        for problem in found.problems:
            self._recording.tell(problem)
        fresh = [one for one in chosen if one.symbol not in self._symbols]
        await asyncio.to_thread(_remember, writer, found, fresh)
        self._forget_health()
        self._listings = found.listings
        self.tells_of |= {listing.instrument.exchange for listing in found.listings}
        self._kinds, self._symbols = set(kinds), {one.symbol for one in chosen}
        feeds = [*self._sockets(kinds, chosen), *self._polls(kinds, chosen)]
        if "position" in kinds:
            watched = self._watched(["position"], "wallets", self._symbols)
            feeds.append(
                positions(
                    self._client,
                    self.exchange,
                    self._wallets,
                    chosen,
                    watched,
                    taps=self._files.taps,
                )
            )
        guarded = [self._guarded(feed) for feed in feeds]
        return [*guarded, self._repairs(chosen)] if guarded else []

    async def _look(self) -> tuple[Listed, list[Listing]]:
        """Return what is listed now, and what of it is wanted."""
        found = await rest.listed(self._client, self.exchange)
        self._is_partial = bool(found.problems)
        chosen = choose(found.listings, self._wanted.symbols)
        if self._wanted.top is not None:
            chosen = await largest(self._client, self.exchange, chosen, self._wanted.top)
        return found, chosen

    async def _watch(self) -> AsyncIterator[Event]:
        """Yield nothing; end when something is listed that is wanted and not recorded yet."""
        while True:
            await asyncio.sleep(_AGAIN if self._is_partial else _RELISTED)
            try:
                _, chosen = await self._look()
            except (ExchangeError, NoSuchData) as error:
                self._recording.tell(f"listings: {error}")
                continue
            if {one.symbol for one in chosen} - self._symbols:
                self._forget_health()  # at once: from here on nothing is recorded
                raise _ListsMore
        yield  # never reached: it makes this a stream

    async def _notes(self) -> AsyncIterator[Event]:
        """Yield nothing; note, for a small part of the time, how far the streams have come."""
        while True:
            began = time.monotonic()
            if self._heard.note(self._health):
                await asyncio.to_thread(self._heard.write)
            await asyncio.sleep(max(_NOTED, 20 * (time.monotonic() - began)))
        yield  # never reached: it makes this a stream

    def _forget_health(self) -> None:
        """Watch no longer over streams that are being replaced."""
        old = {id(health) for health in self._health}
        self._health.clear()
        self._recording.health[:] = [one for one in self._recording.health if id(one) not in old]

    def _sockets(self, kinds: list[str], chosen: list[Listing]) -> list[AsyncIterator[Event]]:
        channels: dict[str, Channel] = {}
        # Wallets are found in trades, whether or not these are recorded.
        sources = ["trade" if kind == "position" else kind for kind in kinds]
        for kind in dict.fromkeys(sources):
            if self.exchange.offers[kind].stream:
                for channel in self.exchange.channels(kind, chosen):
                    channels.setdefault(f"{channel.url} {channel.topic}", channel)
        by_url: dict[str, list[Channel]] = defaultdict(list)
        for channel in channels.values():
            by_url[channel.url].append(channel)
        most = self.exchange.most
        return [
            self._socket(group[at : at + most])
            for group in by_url.values()
            for at in range(0, len(group), most)
        ]

    def _socket(self, channels: list[Channel]) -> AsyncIterator[Event]:
        brought = {kind for channel in channels for kind in channel.kinds}
        kinds = sorted(brought & self._kinds) or sorted(brought)
        symbols = {channel.symbol for channel in channels if channel.symbol is not None}
        if any(channel.symbol is None for channel in channels):
            symbols = self._symbols
        return subscription(
            self.exchange,
            channels,
            self._listings,
            self._watched(kinds, f"{len(channels)} channels", symbols),
            client=self._client,
            symbols=sorted(self._symbols),
            since=self._heard.since(kinds, symbols),
            taps=self._taps(),
            address=self._address,
        )

    def _taps(self) -> Taps:
        """Return where frames go; where positions are recorded, their wallets are noted too."""
        if "position" not in self._kinds:
            return self._files.taps
        raw = self._files.taps.raw

        def noted(url: str, received: int, payload: bytes) -> None:
            raw(url, received, payload)
            with suppress(UnreadableMessage):  # it is told of when it is read
                self._wallets.traded(self.exchange.wallets(payload))

        return self._files.taps._replace(raw=noted)

    def _polls(self, kinds: list[str], chosen: list[Listing]) -> list[AsyncIterator[Event]]:
        feeds = []
        for kind in kinds:
            offer = self.exchange.offers[kind]
            if offer.stream or offer.poll is None:
                continue
            for plan in self.exchange.polls(kind, chosen):
                what = plan.request.about.get("native", "all")
                symbols = {one.symbol for one in chosen if plan.asks_of(one)}
                feeds.append(
                    poll(
                        self._client,
                        self.exchange,
                        plan,
                        chosen,
                        self._watched([kind], what, symbols),
                        since=self._heard.since([kind], symbols),
                        taps=self._files.taps,
                    )
                )
        return feeds

    def _watched(self, kinds: list[str], what: str, symbols: set[str]) -> Health:
        name = f"{self.exchange.name} {'+'.join(kinds)} {what}"
        health = Health(name, tuple(kinds), tuple(sorted(symbols)))
        self._recording.health.append(health)
        self._health.append(health)
        return health

    async def _guarded(self, feed: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """Yield a stream's events; a gap is told at once, and tried to be filled later."""
        try:
            async for event in feed:
                if not self._is_wanted(event):
                    continue
                if isinstance(event, Gap) and self._can_repair(event):
                    self._holes.put_nowait(event)
                self._heard.sets_out()
                yield event
        except ExchangeError as error:
            self._recording.tell(str(error))

    def _is_wanted(self, event: Event) -> bool:
        """Return whether an event was asked for: a channel may bring more kinds, and others'."""
        return _kind(event) in self._kinds and event.symbol in self._symbols

    def _can_repair(self, gap: Gap) -> bool:
        offer = self.exchange.offers.get(gap.stream)
        short = gap.until - gap.time <= _REPAIR
        return offer is not None and bool(offer.history) and short and not self._holes.full()

    async def _repairs(self, chosen: list[Listing]) -> AsyncIterator[Event]:
        """Ask for what was missed; a gap that was filled is told again, and says so."""
        while True:
            gap = await self._holes.get()
            missed = [
                one
                for one in chosen
                if (one.instrument.exchange, one.symbol) == (gap.exchange, gap.symbol)
            ]
            try:
                for listing in missed:
                    pages = rest.history(
                        self._client, self.exchange, gap.stream, listing, gap.time, gap.until
                    )
                    async for page in pages:
                        for event in page:
                            self._heard.sets_out()
                            yield event
                now = time.time_ns()
                self._heard.sets_out()
                yield replace(gap, known_at=now, received=now, reason=f"{FILLED} {gap.reason}")
            except ExchangeError as error:
                self._recording.tell(f"gap of {gap.stream} {gap.symbol}: {error}")

    def kept(self, count: int) -> None:
        """Hear that events are safe."""
        self._heard.arrived(count)

    def rejected(self, event: Event, why: str) -> None:
        """Keep what cannot be kept as a row."""
        self._heard.arrived(1)
        payload = msgspec.json.encode(event)
        self._files.taps.unreadable(self.exchange.name, time.time_ns(), payload, why)


def _kind(event: Event) -> str:
    """Return the kind of an event; of a gap, that of what is missing."""
    return event.stream if isinstance(event, Gap) else str(type(event).__struct_config__.tag)


def _remember(writer: Writer, found: Listed, chosen: list[Listing]) -> None:
    """Keep contract sizes and brackets of what is recorded."""
    symbols = {listing.symbol for listing in chosen}
    writer.remember(listing.instrument for listing in chosen if listing.is_market)
    writer.remember(brackets for brackets in found.brackets if brackets.symbol in symbols)
