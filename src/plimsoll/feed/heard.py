"""Until when each kind of each symbol was recorded, so that the next run knows what it missed.

What a stream has read is not yet safe: it waits in queues, in the order it came, to be written. So
now and then it is noted how far each stream has read and how many events have set out; when so
many have arrived on disk, what was noted holds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from plimsoll.feed.health import Health

__all__ = ["Heard"]

_UNDERWAY = 1_000_000_000
"""What happened less than this before a stream was last heard of may still be on its way to us;
nanoseconds."""


class Heard:
    """One exchange's record of until when it was recorded.

    Parameters
    ----------
    place : Path
        Of a JSON file: nanoseconds by kind and symbol.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._until = _read(place)
        self._out = self._through = self._lost = self._back = 0
        self._mark: tuple[int, dict[tuple[str, str], int]] | None = None

    def since(self, kinds: Iterable[str], symbols: Iterable[str]) -> dict[tuple[str, str], int]:
        """Return until when kinds of symbols were recorded, where they ever were."""
        known, wanted = set(symbols), {kind: self._until.get(kind, {}) for kind in kinds}
        return {
            (kind, symbol): when
            for kind, found in wanted.items()
            for symbol, when in found.items()
            if symbol in known
        }

    def sets_out(self) -> None:
        """Count an event on its way from a stream to the disk."""
        self._out += 1

    def passes(self) -> None:
        """Count it half-way: from here on it is not dropped when streams are replaced."""
        self._through += 1

    def arrived(self, count: int) -> None:
        """Count events that are safe, or will never be; any thread may."""
        self._back += count

    def restarts(self) -> None:
        """Give up what was on its way from streams that are replaced."""
        self._lost += self._out - self._through
        self._through, self._mark = self._out, None

    def note(self, streams: Iterable[Health]) -> None:
        """Write down what holds by now, and mark how far streams have read."""
        if self._mark is not None and self._back + self._lost >= self._mark[0]:
            self._hold(self._mark[1])
            self._mark = None
        if self._mark is None:
            self._mark = (self._out, _read_so_far(streams))

    def _hold(self, found: dict[tuple[str, str], int]) -> None:
        for (kind, symbol), when in found.items():
            known = self._until.setdefault(kind, {})
            known[symbol] = max(when, known.get(symbol, 0))
        self._place.parent.mkdir(exist_ok=True)
        aside = self._place.with_suffix(".new")
        aside.write_text(json.dumps(self._until), encoding="utf-8")
        aside.replace(self._place)


def _read_so_far(streams: Iterable[Health]) -> dict[tuple[str, str], int]:
    """Return how far each kind of each symbol was read; of several streams, the last one counts."""
    found: dict[tuple[str, str], int] = {}
    for health in streams:
        sure = health.heard - _UNDERWAY if health.state == "live" else 0
        for pair in health.brings():
            found[pair] = min(sure, found.get(pair, sure))
    return {pair: when for pair, when in found.items() if when > 0}


def _read(place: Path) -> dict[str, dict[str, int]]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {kind: known for kind, known in found.items() if isinstance(known, dict)}
