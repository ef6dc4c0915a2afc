"""What all parts of the server share: the session, the desk, the settings, and what is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from plimsoll.server.desk import Desk
from plimsoll.server.sharing import Sharing
from plimsoll.store.layout import Layout
from plimsoll.store.reader import Reader
from plimsoll.store.tail import extents, state

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from plimsoll.session import Session

__all__ = ["Limits", "Service", "Settings"]

MIB = 1024 * 1024
_FRESH = 2.0
"""How long the times of the first and the last rows hold, seconds."""


@dataclass(frozen=True)
class Limits:
    """What one client, and all together, may ask for.

    Attributes
    ----------
    rate : float, requests per second
        Of one client, over time.
    burst : int
        Requests a client may make at once.
    at_once : int
        Questions of one client that may be open.
    threads : int
        Questions that are answered at a time.
    queue : int
        Questions that may be answered or wait, of all clients.
    answer, kept : int, bytes
        The largest answer; how much of them is kept.
    page : int
        Rows on a page.
    streams : int
        Connections to the stream, of one client.
    all_streams : int
        And of all.
    subscriptions : int
        Of one connection.
    frame : int, bytes
        The largest message a client may send.
    behind : int
        Messages that may wait for a client; one that is further behind is dropped.
    """

    rate: float = 50.0
    burst: int = 200
    at_once: int = 24
    threads: int = 2
    queue: int = 64
    answer: int = 64 * MIB
    kept: int = 256 * MIB
    page: int = 10_000
    streams: int = 256
    all_streams: int = 1_024
    subscriptions: int = 100
    frame: int = 16 * 1024
    behind: int = 256


@dataclass(frozen=True)
class Settings:
    """How a server behaves.

    Attributes
    ----------
    token : str or None
        What clients must know; None where only this machine can reach the server.
    hosts : tuple of str
        Names by which it may be called; empty for any. A page elsewhere that makes its own name
        mean this machine is refused by it.
    limits : Limits
    """

    token: str | None = None
    hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


class Service:
    """What all parts of the server share.

    Parameters
    ----------
    session : Session
    settings : Settings
    """

    def __init__(self, session: Session, settings: Settings) -> None:
        limits = settings.limits
        self.session, self.settings = Sharing(session), settings
        self.layout = Layout(session.path)
        self.desk = Desk(
            self.state,
            threads=limits.threads,
            queue=limits.queue,
            size=limits.kept,
            largest=limits.answer,
        )
        self.began = datetime.now(tz=UTC)
        self.counted: Counter[str] = Counter()
        self._spans: tuple[float, dict[tuple[str, str], tuple[datetime, datetime]]] | None = None

    def state(self) -> Hashable:
        """Return what changes when the store does."""
        return state(self.layout)

    def span(self, kind: str, given: Mapping[str, Any]) -> tuple[datetime, datetime] | None:
        """Return whole months that hold all rows of a kind; None if there are none."""
        reader = Reader(self.session.path)
        return reader.span(kind, given.get("exchange") or (), given.get("symbol"))

    def stored(
        self, kind: str | None = None, market: str | None = None
    ) -> tuple[datetime, datetime]:
        """Return the times of the first and the last row stored; reads files.

        What says more of calendars than of now, such as an expiry, does not count.

        Parameters
        ----------
        kind : str, optional
        market : str, optional
            A symbol, or a coin for all its contracts.

        Returns
        -------
        tuple of datetime
            Of all that is stored where nothing of that kind and market is, or neither is given; of
            an empty store both are this moment.
        """
        times = self._extents()
        meant = [
            span
            for (of, symbol), span in times.items()
            if kind in (None, of) and market in (None, symbol, symbol.split("/", maxsplit=1)[0])
        ] or list(times.values())
        now = datetime.now(tz=UTC)
        first = min((first for first, _ in meant), default=now)
        return first, max((last for _, last in meant), default=now)

    def _extents(self) -> dict[tuple[str, str], tuple[datetime, datetime]]:
        now = monotonic()
        if self._spans is None or now >= self._spans[0]:
            self._spans = now + _FRESH, extents(self.layout)
        return self._spans[1]
