"""What was appended and not yet settled: each segment of the journal parsed once, and read on."""

from __future__ import annotations

import os
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.store.journal import batches

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Appended", "appended"]

_STORES = 8
_PIECES = 32
"""Batches that are held apart; more become one frame, which takes less memory."""


class Appended:
    """The rows of a journal, which readers of the store share.

    What is settled is forgotten, so that no more is held than the journal holds.

    Parameters
    ----------
    folder : Path
        Where segments lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._alone = Lock()
        self._segments: dict[str, _Segment] = {}

    def rows(self, kind: str | None = None) -> list[tuple[str, pl.DataFrame]]:
        """Return what the journal holds by now, of one kind or of all, in the order appended.

        Returns
        -------
        list of (str, DataFrame)
            Kind and rows: one for each segment and kind.
        """
        with self._alone:
            return self._look(kind)

    def _look(self, kind: str | None) -> list[tuple[str, pl.DataFrame]]:
        found, before, self._segments = [], self._segments, {}
        for path in sorted(self._folder.glob("*.journal")):
            segment = before.get(path.name) or _Segment()
            try:
                segment.read_on(path)
            except FileNotFoundError:
                continue  # settled meanwhile: its rows are in a stage now
            self._segments[path.name] = segment
            for of, frames in segment.frames.items():
                if kind in {None, of}:
                    found.append((of, pl.concat(frames)))
        return found


class _Segment:
    """What was read of a segment, and up to where."""

    def __init__(self) -> None:
        self.frames: dict[str, list[pl.DataFrame]] = {}
        self._at = 0

    def read_on(self, path: Path) -> None:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(self._at)
            found = batches(file.read())
            if self._at and (found.damaged or size < self._at):
                # What a disk refused was taken back, and it may have been read before that.
                self.frames = {}
                file.seek(0)
                found = batches(file.read())
            self._at = file.tell() - found.torn
        for kind, frame in found.batches:
            held = self.frames.setdefault(kind, [])
            held.append(frame)
            if len(held) > _PIECES:
                held[:] = [_joined(held)]


def _joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return frames as one; through Arrow, for words joined by Polars keep all they came in."""
    whole = pl.concat(frames, rechunk=True).to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.DataFrame(pl.from_arrow(whole))


@lru_cache(_STORES)
def appended(folder: Path) -> Appended:
    """Return what is appended in a folder: the same for all who ask."""
    return Appended(folder)
