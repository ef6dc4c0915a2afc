"""What the stream tells: the rows of a table as they are stored, and which series grew."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

import polars as pl

from plimsoll.market.schema import TABLES, TIME
from plimsoll.server.forms import text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HELD", "STORE", "Listener", "Subject", "Topic"]

STORE = "store"
"""The channel that tells which series grew."""
HELD = 500
"""Rows of a snapshot."""
_MOST = 1_000
"""Rows of a delta; more come as several."""
_GREW = pl.Schema(
    {
        "kind": pl.String(),
        "exchange": pl.String(),
        "symbol": pl.String(),
        "rows": pl.UInt32(),
        "last": TIME,
    }
)


class Subject(NamedTuple):
    """What a client subscribes to.

    Attributes
    ----------
    channel : str
        A table, or `STORE`.
    symbol, exchange : str or None
        All if None.
    """

    channel: str
    symbol: str | None = None
    exchange: str | None = None


class Listener(Protocol):
    """Whoever is told."""

    def offer(self, message: str) -> None:
        """Take a message, without waiting."""

    def drop(self, reason: str) -> None:
        """Be told no more."""


class Topic:
    """A subject that somebody listens to.

    Each message is made once for all listeners. Sequence numbers rise by one from message to
    message; a snapshot has that of the last message it holds.

    Parameters
    ----------
    subject : Subject
    """

    def __init__(self, subject: Subject) -> None:
        self.subject, self.sequence = subject, 0
        self.listeners: set[Listener] = set()
        self.waiting: list[Listener] = []
        self.loaded: pl.DataFrame | None = None
        self.ready = False
        schema = _GREW if subject.channel == STORE else TABLES[subject.channel].schema
        self.empty = pl.DataFrame(schema=schema)
        self._held = self.empty
        self._pending: deque[pl.DataFrame] = deque()
        self._snapshot: tuple[int, str] = (-1, "")

    def tell(self, messages: list[str]) -> None:
        """Tell all listeners."""
        for message in messages:
            for listener in tuple(self.listeners):
                listener.offer(message)

    def begin(self) -> None:
        """Give those who wait the snapshot; from now on they listen."""
        if not (self.ready and self.waiting):
            return
        if self._snapshot[0] != self.sequence:
            self._snapshot = (self.sequence, self._message("snapshot", self._held))
        waiting, self.waiting = self.waiting, []
        for listener in waiting:
            self.listeners.add(listener)
            listener.offer(self._snapshot[1])

    def take(self, rows: Mapping[str, pl.DataFrame], *, changed: bool) -> list[str]:
        """Return the messages that new rows make, those of all kinds given.

        That the store `changed` without new rows, as when files are imported, is told on the
        channel `STORE` alone. Before the stored rows are `loaded`, and were joined with what came
        meanwhile, there is nobody to tell.
        """
        new = self._meant(rows, changed)
        if self.ready:
            if new is None:
                return []
            if not new.height:
                return [self._delta(new)]
            return [self._delta(new[at : at + _MOST]) for at in range(0, new.height, _MOST)]
        if new is not None:
            self._pending.append(new)
        if self.loaded is not None:
            whole = pl.concat([self.loaded, *self._pending])
            if self.subject.channel != STORE:  # what was read and heard is one row
                key = [*TABLES[self.subject.channel].key, "known_at"]
                whole = whole.unique(key, keep="last", maintain_order=True)
            self._held, self.loaded, self.ready = whole.tail(HELD), None, True
            self._pending.clear()
        return []

    def _meant(self, rows: Mapping[str, pl.DataFrame], changed: bool) -> pl.DataFrame | None:
        """Return the rows of the subject; None if there are none."""
        channel, symbol, exchange = self.subject
        if channel == STORE:
            return grew(rows) if changed else None
        frame = rows.get(channel)
        if frame is None:
            return None
        for name, value in (("symbol", symbol), ("exchange", exchange)):
            if value is not None:
                frame = frame.filter(pl.col(name) == value)
        return frame if frame.height else None

    def _delta(self, new: pl.DataFrame) -> str:
        self.sequence += 1
        if self.subject.channel != STORE:
            self._held = pl.concat([self._held, new]).tail(HELD)
        return self._message("delta", new)

    def _message(self, kind: str, rows: pl.DataFrame) -> str:
        body = {"type": kind, **self.subject._asdict(), "seq": self.sequence, "columns": rows}
        return text(body).decode()


def grew(rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return which series have new rows, how many, and until when."""
    parts = [
        frame.group_by("exchange", "symbol", maintain_order=True)
        .agg(rows=pl.len(), last=pl.col("time").max())
        .select(pl.lit(kind).alias("kind"), pl.all())
        for kind, frame in rows.items()
    ]
    return pl.concat([pl.DataFrame(schema=_GREW), *parts])
