"""What is appended to a store while one looks: the journal, read on from where it was left."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.store.appended import appended
from plimsoll.store.catalogue import Catalogue
from plimsoll.store.journal import batches

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from pathlib import Path

    from plimsoll.store.layout import Layout

    _Extent = tuple[str, str, datetime, datetime]
    """Kind, symbol, and the times of the first and the last row."""

__all__ = ["Tail", "extents", "state"]

_CLOCKS = ("open_interest", "mark_price", "candle", "trade", "liquidation")
"""Kinds whose times are of what happened, none of them to come."""


class Tail:
    """The end of a store's journal.

    What was appended before the first look is not new. A segment stays open while it lasts, so
    that what is settled between two looks is still read.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._open: dict[str, tuple[int, int]] = {}
        for path, size in _segments(layout):
            self._watch(path, size)

    def look(self) -> dict[str, pl.DataFrame]:
        """Return the rows appended since the last look, by kind, in the order appended.

        Any process may have appended them. A segment that is begun and settled between two looks
        is not seen: only writers that live no longer than that do so.
        """
        present = {path.name: path for path, _ in _segments(self._layout)}
        for name, path in present.items():
            if name not in self._open:
                self._watch(path, 0)
        found: dict[str, list[pl.DataFrame]] = {}
        for name in sorted(self._open):
            for kind, frame in self._more(name):
                found.setdefault(kind, []).append(frame)
            if name not in present:
                os.close(self._open.pop(name)[0])
        return {kind: pl.concat(frames) for kind, frames in found.items()}

    def close(self) -> None:
        """Look no more."""
        for handle, _ in self._open.values():
            os.close(handle)
        self._open.clear()

    def _watch(self, path: Path, at: int) -> None:
        with suppress(FileNotFoundError):  # settled meanwhile
            self._open[path.name] = (os.open(path, os.O_RDONLY), at)

    def _more(self, name: str) -> list[tuple[str, pl.DataFrame]]:
        handle, at = self._open[name]
        size = os.fstat(handle).st_size
        if size <= at:
            return []
        segment = batches(os.pread(handle, size - at, at))
        self._open[name] = (handle, size - segment.torn)
        return segment.batches


def state(layout: Layout) -> Hashable:
    """Return what changes whenever the rows or scores of a store do; cheap to compute."""
    scores = layout.root / "scores"
    folders = [layout.staged, scores, *(scores.iterdir() if scores.is_dir() else ())]
    files = [layout.catalogue, layout.catalogue.with_name(f"{layout.catalogue.name}-wal")]
    files.append(layout.instruments)
    segments = tuple((path.name, size) for path, size in _segments(layout))
    return segments, tuple(_stamp(path) for path in (*folders, *files))


def extents(layout: Layout) -> dict[tuple[str, str], tuple[datetime, datetime]]:
    """Return the times of the first and the last row stored of what happens on markets.

    By kind and symbol, all exchanges together.
    """
    found: dict[tuple[str, str], tuple[datetime, datetime]] = {}
    for kind, symbol, first, last in (*_sealed(layout), *_unsealed(layout)):
        before = found.get((kind, symbol), (first, last))
        found[kind, symbol] = min(first, before[0]), max(last, before[1])
    return found


def _sealed(layout: Layout) -> Iterator[_Extent]:
    if layout.catalogue.exists():
        with closing(Catalogue(layout, read_only=True)) as catalogue:
            for item in catalogue.sealed():
                if item.series.kind in _CLOCKS:
                    one = item.series
                    yield one.kind, one.symbol, _moment(item.first), _moment(item.last)


def _unsealed(layout: Layout) -> Iterator[_Extent]:
    for kind in _CLOCKS:
        for path in layout.staged.glob(f"[!.]*/{kind}/*/*/*.parquet"):
            with suppress(OSError, pl.exceptions.PolarsError):  # sealed meanwhile
                yield from _ends(kind, pl.scan_parquet(path))
    for kind, frame in appended(layout.journal).rows():
        if kind in _CLOCKS:
            yield from _ends(kind, frame.lazy())


def _ends(kind: str, rows: pl.LazyFrame) -> list[_Extent]:
    ends = pl.min("time").alias("first"), pl.max("time").alias("last")
    found = rows.group_by("symbol").agg(*ends).collect()
    return [(kind, *row) for row in found.iter_rows()]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _segments(layout: Layout) -> list[tuple[Path, int]]:
    """Return the segments and their sizes, in the order written."""
    found = []
    for path in sorted(layout.journal.glob("*.journal")):
        try:
            found.append((path, path.stat().st_size))
        except FileNotFoundError:
            continue  # settled meanwhile
    return found


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        known = os.stat(path)  # noqa: PTH116 (called often)
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size
