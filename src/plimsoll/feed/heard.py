"""Until when each kind of each symbol was recorded, so that the next run knows what it missed.

What a stream has read is not yet safe: it waits in queues, in the order it came, to be written. So
now and then it is noted how far each stream has read and how many events have set out; when so
many have arrived on disk, what was noted holds. What was never recorded before is noted at once:
from then on there is something to miss.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from plimsoll.store.layout import put_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from plimsoll.feed.health import Health

__all__ = ["UNDERWAY", "Heard"]

UNDERWAY = 1_000_000_000
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
        self._own: set[tuple[str, str]] = set()
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

    def note(self, streams: Iterable[Health]) -> bool:
        """Mark how far streams have read; return whether more holds than was written down."""
        holds: dict[tuple[str, str], int] = {}
        if self._mark is not None and self._back + self._lost >= self._mark[0]:
            holds, self._mark = self._mark[1], None
        if self._mark is None:
            self._mark = (self._out, _read_so_far(streams))
            for (kind, symbol), when in self._mark[1].items():
                if symbol not in self._until.get(kind, {}):
                    holds.setdefault((kind, symbol), when)
        for (kind, symbol), when in holds.items():
            self._until.setdefault(kind, {})[symbol] = when
            self._own.add((kind, symbol))
        return bool(holds)

    def write(self) -> None:
        """Write down what holds; what another recorder of this exchange wrote there stays."""
        found = _read(self._place)
        for kind, symbol in self._own:
            found.setdefault(kind, {})[symbol] = self._until[kind][symbol]
        self._place.parent.mkdir(exist_ok=True)
        put_text(self._place, json.dumps(found))


def _read_so_far(streams: Iterable[Health]) -> dict[tuple[str, str], int]:
    """Return how far each kind of each symbol was read; of several streams, the last one counts."""
    found: dict[tuple[str, str], int] = {}
    for health in streams:
        sure = health.heard - UNDERWAY if health.state == "live" else 0
        for pair in health.brings():
            found[pair] = min(sure, found.get(pair, sure))
    return {pair: when for pair, when in found.items() if when > 0}


def _read(place: Path) -> dict[str, dict[str, int]]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {kind: known for kind, known in found.items() if isinstance(known, dict)}
