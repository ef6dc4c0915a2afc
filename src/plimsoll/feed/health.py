"""How each stream is doing, for whoever looks: counted as it happens."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Health"]

_SPAN = 10.0


@dataclass
class Health:
    """How one stream is doing.

    Attributes
    ----------
    name : str
        The exchange and what of it.
    kinds, symbols : tuple of str
        The tables it brings rows of, and of whom.
    refused : set of (str, str)
        Kinds of symbols among these that the exchange does not tell after all.
    state : {"connecting", "live", "lost", "refused"}
    events, unreadable, gaps, reconnects : int
        Since it was first opened.
    last : int or None, UTC nanoseconds
        When the last event came.
    heard : int, UTC nanoseconds
        Until when all that came was passed on: when an event came or, where none does, when the
        other side was last heard of; 0 if never.
    delay : float or None, seconds
        From the exchange's clock to ours, of the last event; with a wrong clock, nonsense.
    problem : str
        What went wrong last; empty if nothing did.
    """

    name: str
    kinds: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    refused: set[tuple[str, str]] = field(default_factory=set)
    state: Literal["connecting", "live", "lost", "refused"] = "connecting"
    events: int = 0
    unreadable: int = 0
    gaps: int = 0
    reconnects: int = 0
    last: int | None = None
    heard: int = 0
    delay: float | None = None
    problem: str = ""
    _marks: list[tuple[float, int]] = field(default_factory=list)

    def came(self, time_: int, received: int) -> None:
        """Count an event; both times in UTC nanoseconds."""
        self.events += 1
        self.last = received
        self.delay = (received - time_) / 1e9

    def brings(self) -> set[tuple[str, str]]:
        """Return the kinds of symbols that it brings."""
        return {(kind, symbol) for kind in self.kinds for symbol in self.symbols} - self.refused

    def rate(self) -> float:
        """Return events a second, of the last ten seconds or so."""
        now = time.monotonic()
        self._marks.append((now, self.events))
        while len(self._marks) > 2 and self._marks[1][0] < now - _SPAN:
            self._marks.pop(0)
        (then, before), *_ = self._marks
        return (self.events - before) / (now - then) if now > then else 0.0
