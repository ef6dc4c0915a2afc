"""Everything that changes a store: appending, accepting files, sealing.

Three promises. What was acknowledged survives a kill at any moment. A crash
needs no repair: opening the store for writing finishes what was begun. Any
number of processes may write; sealing is done by one at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Self

import polars as pl

from plimsoll.errors import StoreUnusable
from plimsoll.market.schema import TABLES, rows
from plimsoll.market.symbols import family
from plimsoll.store import merge, parquet
from plimsoll.store.catalogue import Catalogue, Imported, Sealed, describe
from plimsoll.store.journal import Journal, is_finished, read_segment
from plimsoll.store.layout import Layout, Series, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from plimsoll.market.events import Event

__all__ = ["Stage", "Writer", "filing"]

_GROUP = 256 * 1024 * 1024
_SOURCE = "source.json"


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
        self._handle = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
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
        part = self._parts.get(place)
        rising = merge.strictly_rising(table, frame)
        if part is not None and part.rising and rising:
            seam = pl.concat([part.last, frame.head(1)])
            rising = merge.strictly_rising(table, seam)
        if part is None or not part.writer.fits(frame):
            part = self._begin(place, frame)
        part.rising &= rising
        part.last = frame.tail(1)
        part.writer.write(frame)

    def _begin(self, place: tuple[Series, str], frame: pl.DataFrame) -> _Part:
        if place in self._parts:
            self._finish(self._parts.pop(place))
        series, month = place
        number = self._numbers[place] = self._numbers.get(place, 0) + 1
        path = self._open / series.folder / f"{month}.{number}.parquet"
        part = _Part(parquet.TableWriter(path, parquet.scales(frame)), frame.tail(1))
        self._parts[place] = part
        return part

    def _finish(self, part: _Part) -> None:
        part.writer.annotate(rising=str(int(part.rising)))
        part.writer.close()

    def accept(self, source: Imported) -> None:
        """Keep all rows; when this returns they survive a crash."""
        for part in self._parts.values():
            self._finish(part)
        self._parts.clear()
        note = replace(source, rows=self.rows)
        (self._open / _SOURCE).write_text(json.dumps(asdict(note)), encoding="utf-8")
        sync_folder(self._open)
        self._open.rename(self._accepted)
        sync_folder(self._layout.staged)


@dataclass
class _Pending:
    """What waits to be sealed into one file."""

    inputs: list[tuple[int, Path | pl.DataFrame]] = field(default_factory=list)


@dataclass
class _Count:
    added: int = 0
    duplicates: int = 0
    revisions: int = 0


class Writer:
    """A store opened for writing.

    Opening creates the store if there is none, and finishes whatever a crashed
    writer left behind.

    Parameters
    ----------
    root : Path

    Raises
    ------
    StoreUnusable
        If the folder cannot be written.
    StoreTooNew
        If a newer version made the store.
    """

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.layout.create()
        self._journal = Journal(self.layout.journal)
        self._clear_abandoned()
        try:
            self.catalogue = Catalogue(self.layout)
            self.seal()
        except OSError as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.catalogue.close()

    def close(self) -> None:
        """Seal what this writer appended; it may append again."""
        self._journal.close()
        self.seal()

    def append(self, batch: Iterable[Event]) -> int:
        """Keep events; when this returns they survive a crash.

        Parameters
        ----------
        batch : iterable of Event
            Of any kinds. Few calls with many events are cheaper than many with few.

        Returns
        -------
        int
            How many.

        Raises
        ------
        ValueError
            If an event breaks its table's rules; then none is kept.
        StoreUnusable
            If the disk refuses; then the kinds already written stay.
        """
        frames = rows(batch)
        for kind, frame in frames.items():
            broken = frame.select(TABLES[kind].violations().alias("broken"))["broken"]
            if broken.null_count() < frame.height:
                bad = broken.is_not_null().arg_max() or 0
                row = frame.row(bad, named=True)
                raise ValueError(f"{kind}: {broken[bad]} breaks its rule in {row}")
        try:
            for kind, frame in frames.items():
                self._journal.append(kind, frame)
        except OSError as error:
            raise self._unusable(error) from error
        return sum(frame.height for frame in frames.values())

    def stage(self) -> Stage:
        """Return an empty stage for the rows of one source."""
        return Stage(self.layout)

    def seal(self) -> dict[str, Imported]:
        """Bring everything acknowledged into the sealed files.

        Returns
        -------
        dict of str to Imported
            Each source that was sealed, by checksum, with what became of its rows.

        Raises
        ------
        StoreUnusable
            If the disk refuses; nothing acknowledged is lost, seal again later.
        """
        try:
            with _locked(self.layout.root / "seal.lock"):
                sources = self._seal_staged()
                while self._seal_journal():
                    pass
        except OSError as error:
            raise self._unusable(error) from error
        return sources

    def _seal_staged(self) -> dict[str, Imported]:
        stages = sorted(
            path for path in self.layout.staged.iterdir() if not path.name.startswith(".")
        )
        notes = [
            Imported(**json.loads((stage / _SOURCE).read_text(encoding="utf-8")))
            for stage in stages
        ]
        order = sorted(range(len(stages)), key=lambda n: (notes[n].imported_at, notes[n].path))
        pending: dict[tuple[Series, str], _Pending] = {}
        for rank, n in enumerate(order, start=1):
            for path in sorted(stages[n].glob("*/*/*/*.parquet")):
                series = Series.of(path.parent.relative_to(stages[n]).as_posix())
                month = path.name.split(".")[0]
                pending.setdefault((series, month), _Pending()).inputs.append((rank, path))
        counts = self._seal_all(pending, {r: notes[n].sha256 for r, n in enumerate(order, 1)})
        done = {}
        for rank, n in enumerate(order, start=1):
            count = counts.get(rank, _Count())
            item = replace(notes[n], **asdict(count))
            self.catalogue.enter(item)
            done[item.sha256] = item
        for stage in stages:
            shutil.rmtree(stage)
        return done

    def _seal_journal(self) -> bool:
        """Seal as many finished segments as are borne at once; return whether any was."""
        group: list[Path] = []
        size = 0
        for path in sorted(self.layout.journal.glob("*.journal")):
            if is_finished(path) and (not group or size < _GROUP):
                group.append(path)
                size += path.stat().st_size
        pending: dict[tuple[Series, str], _Pending] = {}
        for path in group:
            for kind, frame in read_segment(path).batches:
                for series, month, part in filing(kind, frame):
                    pending.setdefault((series, month), _Pending()).inputs.append((1, part))
        self._seal_all(pending, {1: "journal"})
        for path in group:
            segment = read_segment(path)
            if segment.damaged:
                path.rename(path.with_suffix(".damaged"))
            else:
                path.unlink()
        return bool(group)

    def _seal_all(
        self, pending: dict[tuple[Series, str], _Pending], names: dict[int, str]
    ) -> dict[int, _Count]:
        counts: dict[int, _Count] = {}
        for (series, month), item in sorted(pending.items(), key=lambda pair: pair[0]):
            merged = self._seal_one(series, month, item.inputs)
            for rank, added in merged.added.items():
                counts.setdefault(rank, _Count()).added += added
            for rank, known in merged.duplicates.items():
                counts.setdefault(rank, _Count()).duplicates += known
            if merged.revisions.height:
                ranks = merged.revisions[merge.RANK].value_counts().iter_rows()
                for rank, revised in ranks:
                    counts.setdefault(rank, _Count()).revisions += revised
                self._revise(series, month, merged.revisions, names)
        return counts

    def _seal_one(
        self, series: Series, month: str, inputs: list[tuple[int, Path | pl.DataFrame]]
    ) -> merge.Merged:
        place = self.layout.sealed(series, month)
        place.parent.mkdir(parents=True, exist_ok=True)
        known = self.catalogue.sealed(series, month)
        previous = known[0].sha256 if known else ""
        if not place.exists() and len(inputs) == 1 and (moved := _whole(inputs[0][1])):
            rank, path = inputs[0][0], moved
            sealed = describe(self.layout, series, month, path, previous)
            self._put(sealed, path)
            return merge.Merged(rows=sealed.rows, added={rank: sealed.rows})
        if place.exists():
            inputs = [(0, place), *inputs]
        aside = place.with_suffix(".new")
        merged = _merge(series, inputs, aside)
        merged.added.pop(0, None)
        if merged.added:
            self._put(describe(self.layout, series, month, aside, previous), aside)
        else:
            aside.unlink()
        return merged

    def _put(self, sealed: Sealed, path: Path) -> None:
        """Enter the checksum first: a file at its place is never unknown."""
        self.catalogue.seal(sealed)
        place = self.layout.sealed(sealed.series, sealed.month)
        path.replace(place)
        sync_folder(place.parent)

    def _revise(
        self, series: Series, month: str, revisions: pl.DataFrame, names: dict[int, str]
    ) -> None:
        """Keep contradicting rows aside, with the checksum of the file they came in."""
        table, place = TABLES[series.kind], self.layout.revisions(series, month)
        met = revisions.with_columns(
            pl.col(merge.RANK).replace_strict(names, return_dtype=pl.String).alias("source"),
        ).drop(merge.RANK)
        known = [parquet.read(place)] if place.exists() else []
        said = [*table.key, *table.values]
        together = pl.concat([*known, met]).unique(said, keep="first", maintain_order=True)
        aside = place.with_suffix(".new")
        writer = parquet.TableWriter(aside, parquet.scales(together))
        writer.write(together.sort("time", "known_at", maintain_order=True))
        writer.close()
        aside.replace(place)
        sync_folder(place.parent)

    def _clear_abandoned(self) -> None:
        """Remove stages whose writer died before they were accepted."""
        for stage in self.layout.staged.glob(".*"):
            lock = stage.with_name(f"{stage.name}.lock")
            if stage.is_dir() and (not lock.exists() or is_finished(lock)):
                shutil.rmtree(stage, ignore_errors=True)
                lock.unlink(missing_ok=True)

    def _unusable(self, error: OSError) -> StoreUnusable:
        return StoreUnusable(
            self.layout.root,
            f"the disk refused ({error.strerror or error}); everything acknowledged before is "
            "safe, make room or mend the disk and run the command again",
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _whole(item: Path | pl.DataFrame) -> Path | None:
    """Return a staged part that can be sealed as it is: rows in order, each fact once."""
    if isinstance(item, pl.DataFrame):
        return None
    words = parquet.metadata(item)
    return item if words.get("rising") == "1" else None


def _merge(
    series: Series, inputs: list[tuple[int, Path | pl.DataFrame]], aside: Path
) -> merge.Merged:
    """Write the merge of all inputs; again, with other decimals, if some row needs them."""
    decimals = _decimals(inputs)
    while True:
        merged = merge.Merged()
        writer = parquet.TableWriter(aside, decimals)
        try:
            for frame in merge.combine(TABLES[series.kind], inputs, merged):
                decimals = parquet.scales(frame, writer.decimals)
                if decimals != writer.decimals:
                    break
                writer.write(frame)
            else:
                writer.close()
                return merged
            writer.abandon()
        except BaseException:
            writer.abandon()
            raise


def _decimals(inputs: list[tuple[int, Path | pl.DataFrame]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, item in inputs:
        if isinstance(item, pl.DataFrame):
            found = parquet.scales(item, found)
            continue
        for name, scale in parquet.decimals(item).items():
            both = (found.get(name, scale), scale)
            found[name] = parquet.FLOAT if parquet.FLOAT in both else max(both)
    return found
