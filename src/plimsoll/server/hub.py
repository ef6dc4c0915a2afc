"""One look at the store for all who listen, and what each of them is told."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import Symbol
from plimsoll.server.paging import recent
from plimsoll.server.problems import Problem
from plimsoll.server.topics import HELD, STORE, Subject, Topic
from plimsoll.store.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import polars as pl

    from plimsoll.server.service import Service
    from plimsoll.server.topics import Listener

__all__ = ["Hub", "subject_of"]

_LOG = logging.getLogger(__name__)
_EVERY = 0.01
"""How often the store is looked at, seconds."""
_REST = 0.03
"""How long it is not looked at after something was told: what comes meanwhile is told at once."""
_TOPICS = 4_096
_UNREAD = 1_024
"""Snapshots that may wait to be read."""
_LONGEST = 80


def subject_of(channel: str, symbol: str | None, exchange: str | None) -> Subject:
    """Return what a client means.

    Raises
    ------
    ValueError
        If there is no such channel, or a symbol or exchange cannot be one.
    """
    if channel not in (STORE, *TABLES):
        raise ValueError(f"there is no channel {channel!r}; known: {', '.join((STORE, *TABLES))}")
    if not all(word is None or 1 <= len(word) <= _LONGEST for word in (symbol, exchange)):
        raise ValueError(f"symbol and exchange have 1 to {_LONGEST} letters, or are left out")
    if channel == STORE and (symbol or exchange):
        raise ValueError("the channel store tells of all symbols and exchanges: leave them out")
    if symbol is not None:
        Symbol.parse(symbol)
    return Subject(channel, symbol, exchange)


class Hub:
    """Looks at the store, and tells what is new.

    Rows are told in the order appended, each once; what was stored before a subscription is in
    its snapshot.

    Parameters
    ----------
    service : Service
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._topics: dict[Subject, Topic] = {}
        self._tail: Tail | None = None
        self._seen: Hashable = None
        self._unread: dict[Subject, Topic] = {}
        self._reading: asyncio.Future[None] | None = None
        self.streams: Counter[str] = Counter()
        self.sent = self.dropped = 0

    @property
    def topics(self) -> int:
        """Subjects somebody listens to."""
        return len(self._topics)

    def subscribe(self, subject: Subject, listener: Listener) -> None:
        """Tell somebody of a subject: first a snapshot, then what is new.

        Raises
        ------
        Problem
            If too many subjects are listened to, or their snapshots waited for.
        """
        topic = self._topics.get(subject)
        if topic is None:
            topic = self._begun(subject)
        topic.waiting.append(listener)  # told after the next look, when nothing moves

    def unsubscribe(self, subject: Subject, listener: Listener) -> None:
        """Tell somebody no more of a subject."""
        topic = self._topics.get(subject)
        if topic is None:
            return
        topic.listeners.discard(listener)
        with suppress(ValueError):
            topic.waiting.remove(listener)
        if not topic.listeners and not topic.waiting:
            del self._topics[subject]
            self._unread.pop(subject, None)  # what nobody waits for is not read

    async def run(self) -> None:
        """Look and tell until cancelled."""
        try:
            while True:
                told = await self._looked()
                if not self._topics and self._tail is not None:
                    self._tail.close()
                    self._tail = None
                await asyncio.sleep(_REST if told else _EVERY)
        finally:
            if self._reading is not None:
                self._reading.cancel()
            if self._tail is not None:
                self._tail.close()

    async def _looked(self) -> bool:
        """Look; if that fails, let all begin anew rather than miss something."""
        try:
            return await self._look()
        except Exception:  # noqa: BLE001 (whatever it was, they must know)
            _LOG.exception("the store could not be looked at")
            for topic in list(self._topics.values()):
                for listener in (*topic.listeners, *topic.waiting):
                    listener.drop("the store could not be looked at; connect again")
            return False

    def _begun(self, subject: Subject) -> Topic:
        """Return a topic nobody listened to; what its snapshot holds is read in its turn."""
        if len(self._topics) >= _TOPICS:
            raise _busy("too many subjects are listened to; try again later")
        topic = Topic(subject)
        if subject.channel == STORE:
            topic.loaded = topic.empty  # nothing of it is stored
        elif len(self._unread) >= _UNREAD:
            raise _busy("many snapshots are waited for; subscribe again in a second")
        else:
            self._unread[subject] = topic
        self._topics[subject] = topic
        if self._tail is None:
            self._tail = Tail(self._service.layout)
        if self._unread and self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        return topic

    async def _read(self) -> None:
        """Read what snapshots hold, one after the other: other questions find a thread free."""
        while self._unread:
            await self._load(self._unread.pop(next(iter(self._unread))))
        self._reading = None

    async def _load(self, topic: Topic) -> None:
        """Read what a topic's snapshot holds."""
        service, found = self._service, topic.empty
        try:
            found = await service.desk.run(lambda: _stored(service, topic.subject))
        except NoSuchData:
            pass  # not yet
        except Exception:  # noqa: BLE001 (it is logged; what is new is told all the same)
            _LOG.exception("a snapshot could not be read")
        topic.loaded = found

    async def _look(self) -> bool:
        """Return whether anything was told."""
        tail = self._tail
        if tail is None:
            return False
        state = self._service.state()
        changed, self._seen = state != self._seen, state
        rows: Mapping[str, pl.DataFrame] = {}
        told: list[list[str]] = []
        if changed:
            rows = await asyncio.to_thread(tail.look)
        topics = list(self._topics.values())  # who came during the look gets its rows as well
        if changed or any(not topic.ready for topic in topics):
            told = await asyncio.to_thread(
                lambda: [one.take(rows, changed=changed) for one in topics]
            )
            for topic, messages in zip(topics, told, strict=True):
                topic.tell(messages)
        for topic in topics:
            topic.begin()
        return any(told)


def _busy(detail: str) -> Problem:
    return Problem(503, "busy", "The server is busy", detail)


def _stored(service: Service, subject: Subject) -> pl.DataFrame:
    given = {"symbol": subject.symbol, "exchange": [subject.exchange] if subject.exchange else []}
    span = service.span(subject.channel, given)
    if span is None:
        raise NoSuchData("nothing of it is stored yet")
    return recent(service.session, subject.channel, given, span, HELD)
