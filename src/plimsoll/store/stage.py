"""The rows of one source on their way into the store, kept all at once or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Self

import polars as pl

from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import family
from plimsoll.store import merge, parquet
from plimsoll.store.catalogue import Imported
from plimsoll.store.journal import is_finished
from plimsoll.store.layout import Layout, Series, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["JOURNAL", "Stage", "accepted", "damaged", "discard", "filing", "parts", "sweep"]

JOURNAL = "journal"
"""The format of a stage whose rows were appended, not imported."""

_SOURCE = "source.json"
_MOST_OPEN = 512


def filing(kind: str, frame: pl.DataFrame) -> Iterator[tuple[Series, str, pl.DataFrame]]:
    """Yield rows by the series and month they are filed under, in the order they came."""
    table = TABLES[kind]
    time = next(e for e in table.identity() if e.meta.output_name() == "time")
    month = time.dt.truncate("1mo")
    first, last = frame.select(month.min().alias("first"), month.max().alias("last")).row(0)
    exchange, symbol = frame["exchange"], frame["symbol"]
    if first == last and (exchange == exchange[0]).all() and (symbol == symbol[0]).all():
        yield Series(kind, exchange[0], family(symbol[0])), f"{first:%Y-%m}", frame
        return
    families = {name: family(name) for name in symbol.unique()}
    keys = {
        "_exchange": pl.col("exchange"),
        "_symbol": pl.col("symbol").replace_strict(families),
        "_month": month.dt.strftime("%Y-%m"),
    }
    groups = frame.with_columns(**keys).partition_by(list(keys), maintain_order=True, as_dict=True)
    for (place, filed, when), part in groups.items():
        yield Series(kind, str(place), str(filed)), str(when), part.drop(list(keys))


@dataclass
class _Part:
    """A Parquet file being written into a stage."""

    writer: parquet.TableWriter
    last: pl.DataFrame
    rising: bool = True


class Stage:
    """The rows of one source on their way into the store.

    Nothing is kept until `accept`; leaving the block before that undoes all.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        name = uuid.uuid4().hex
        self._open = layout.staged / f".{name}"
        self._lock = layout.staged / f".{name}.lock"
        self._accepted = layout.staged / name
        self._parts: dict[tuple[Series, str], _Part] = {}
        self._numbers: dict[tuple[Series, str], int] = {}
        self._handle = -1
        self.rows = 0

    def __enter__(self) -> Self:
        unborn = self._lock.with_suffix(".new")  # nobody may see it before it is locked
        self._handle = os.open(unborn, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        unborn.rename(self._lock)
        self._open.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        for part in self._parts.values():
            part.writer.abandon()
        shutil.rmtree(self._open, ignore_errors=True)
        self._lock.unlink(missing_ok=True)
        os.close(self._handle)

    def write(self, kind: str, frame: pl.DataFrame) -> None:
        """Add rows of one table, all columns."""
        if not frame.height:
            return
        for series, month, part in filing(kind, frame):
            self._append(series, month, part)
        self.rows += frame.height

    def _append(self, series: Series, month: str, frame: pl.DataFrame) -> None:
        table, place = TABLES[series.kind], (series, month)
        part = self._parts.pop(place, None)
        rising = merge.strictly_rising(table, frame)
        if part is not None and part.rising and rising:
            seam = pl.concat([part.last, frame.head(1)])
            rising = merge.strictly_rising(table, seam)
        if part is not None and not part.writer.fits(frame):
            self._finish(part)
            part = None
        if part is None:
            part = self._begin(place, frame)
        self._parts[place] = part  # the last written stands last
        part.rising &= rising
        part.last = frame.tail(1)
        part.writer.write(frame)

    def _begin(self, place: tuple[Series, str], frame: pl.DataFrame) -> _Part:
        if len(self._parts) >= _most_open():
            self._finish(self._parts.pop(next(iter(self._parts))))  # longest unwritten
        series, month = place
        number = self._numbers[place] = self._numbers.get(place, 0) + 1
        path = self._open / series.folder / f"{month}.{number}.parquet"
        return _Part(parquet.TableWriter(path, parquet.scales(frame)), frame.tail(1))

    def _finish(self, part: _Part) -> None:
        part.writer.annotate(rising=str(int(part.rising)))
        part.writer.close()

    def accept(self, source: Imported) -> None:
        """Keep all rows; when this returns they survive a crash."""
        for part in self._parts.values():
            self._finish(part)
        self._parts.clear()
        note = replace(source, rows=self.rows)
        with (self._open / _SOURCE).open("w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(note)))
            file.flush()
            os.fsync(file.fileno())
        for folder in (self._open, *(path for path in self._open.rglob("*") if path.is_dir())):
            sync_folder(folder)
        self._open.rename(self._accepted)
        sync_folder(self._layout.staged)


def _most_open() -> int:
    """Return how many files may be open at once: half of what this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_OPEN if soft == resource.RLIM_INFINITY else max(8, min(_MOST_OPEN, soft // 2))


def accepted(folder: Path) -> list[tuple[Imported, Path]]:
    """Return the accepted stages with what they hold, in the order they were accepted."""
    found = [
        (Imported(**json.loads(note.read_text(encoding="utf-8"))), note.parent)
        for note in folder.glob(f"[!.]*/{_SOURCE}")
    ]
    return sorted(found, key=lambda stage: (stage[0].imported_at, stage[0].path))


def parts(stage: Path) -> list[Path]:
    """Return the files of a stage."""
    return sorted(stage.glob("*/*/*/*.parquet"))


def damaged(note: Imported, stage: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a stage that are not what was written, each with what to do about it."""
    again = "" if note.format == JOURNAL else f", then import {note.path} again"
    todo = f"move the folder {stage.name} out of the store{again}"
    for path in parts(stage):
        try:
            parquet.verify(path)
        except parquet.UNREADABLE as error:
            yield path, f"it cannot be read ({str(error).strip()}): {todo}"


def discard(stage: Path) -> None:
    """Remove a stage that is sealed; what a crash leaves of it is nobody's."""
    gone = stage.with_name(f".{stage.name}.sealed")
    stage.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)  # another writer may be sweeping


def sweep(folder: Path) -> None:
    """Remove what writers that died left behind."""
    for stage in folder.glob(".*"):
        lock = stage.with_name(f"{stage.name}.lock")
        if stage.is_dir() and (not lock.exists() or is_finished(lock)):
            shutil.rmtree(stage, ignore_errors=True)
            lock.unlink(missing_ok=True)
    for lock in folder.glob(".*.lock"):
        if not lock.with_suffix("").exists() and is_finished(lock):
            lock.unlink(missing_ok=True)
