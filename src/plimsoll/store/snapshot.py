"""A store as many questions of one answer read it: looked at once, and what is read is kept."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING

from plimsoll.store import parquet
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import polars as pl

    from plimsoll.market.schema import Table
    from plimsoll.store.layout import Series
    from plimsoll.store.reader import Asked, Pending

__all__ = ["Snapshot"]

_SIZE = 256 * 1024 * 1024
"""How much is kept, bytes; what was used least lately goes first."""
_LARGE = 8 * 1024 * 1024
"""A file of so many bytes is read where it is needed, and only the rows that are."""


class Snapshot(Reader):
    """A store that is looked at once.

    What comes while it is used may or may not be seen; so it is made for one answer.

    Parameters
    ----------
    reader : Reader

    Attributes
    ----------
    kept : int, bytes
        How much is held of what was read.
    """

    def __init__(self, reader: Reader) -> None:
        self.layout = reader.layout
        self._listed: dict[str | None, dict[str, list[Series]]] = {}
        self._waits: dict[str, dict[Series, Pending]] = {}
        self._frames: OrderedDict[Path, pl.DataFrame] = OrderedDict()
        self.kept = 0

    def series(
        self,
        kind: str | None = None,
        exchanges: Iterable[str] = (),
        symbol: str | None = None,
        *,
        coin: str | None = None,
    ) -> list[Series]:
        """Return the series stored; see `Reader.series`."""
        if kind not in self._listed:
            coins: dict[str, list[Series]] = defaultdict(list)
            for one in super().series(kind):
                coins[one.coin].append(one)
            self._listed[kind] = coins
        coins, wanted = self._listed[kind], set(exchanges)
        of = symbol.split("/", maxsplit=1)[0] if symbol else coin
        listed = (one for name in ([of] if of else coins) for one in coins.get(name, ()))
        return sorted(one for one in listed if one.matches(wanted, symbol))

    def _once(self, matching: list[Series], asked: Asked) -> pl.DataFrame | None:
        try:
            found = super()._once(matching, asked)
        except parquet.UNREADABLE:
            self._forget()
            raise
        if found is None:
            self._forget()
        return found

    def _waiting(self, kind: str) -> dict[Series, Pending]:
        if kind not in self._waits:
            self._waits[kind] = super()._waiting(kind)
        return self._waits[kind]

    def _sealed(self, place: Path, table: Table) -> pl.LazyFrame:
        frame = self._frames.get(place)
        if frame is None:
            if place.stat().st_size > _LARGE:
                return super()._sealed(place, table)
            frame = self._frames[place] = super()._sealed(place, table).collect()
            self.kept += int(frame.estimated_size())
        self._frames.move_to_end(place)
        while self.kept > _SIZE:
            _, oldest = self._frames.popitem(last=False)
            self.kept -= int(oldest.estimated_size())
        return frame.lazy()

    def _forget(self) -> None:
        """Look anew: files were sealed meanwhile."""
        self._waits.clear()
        self._frames.clear()
        self.kept = 0
