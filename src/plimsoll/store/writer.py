"""Everything that changes a store: appending, accepting files, settling, sealing.

::

    append ──▶ journal ──▶ settle ──▶ staged ──▶ seal ──▶ tables
    import ─────────────────────────────▲

An append is durable at once and costly to read; to settle what was appended costs as much as
there is of it; to seal rewrites the months it belongs to, and makes reading fast.

Three promises. What was acknowledged survives a kill at any moment. A crash
needs no repair: opening the store for writing finishes what was begun. Any
number of processes may write; sealing is done by one at a time, and one writer's threads may
append while another settles or seals.
"""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import polars as pl

from plimsoll.errors import StoreDamaged, StoreUnusable
from plimsoll.market.schema import TABLES, rows
from plimsoll.store import merge, parquet
from plimsoll.store.catalogue import Catalogue, Imported, Sealed, checksum, describe
from plimsoll.store.journal import Journal, is_finished, read_segment
from plimsoll.store.layout import Layout, Series, sync_folder
from plimsoll.store.revisions import RANK
from plimsoll.store.stage import JOURNAL, Stage, accepted, damaged, discard, parts, sweep

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from plimsoll.market.events import Event
    from plimsoll.market.instrument import Brackets, Instrument
    from plimsoll.market.schema import Table

__all__ = ["Writer"]

_GROUP = 64 * 1024 * 1024
"""Bytes of segments that are settled at once, or little more: some five times that in memory."""


_Pending = dict[tuple[Series, str], list[tuple[int, "Path"]]]
"""What waits to be sealed, by series and month: files by rank."""


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
        sweep(self.layout.staged)
        try:
            self.catalogue = Catalogue(self.layout)
            self.seal()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.seal()
        self.catalogue.close()

    def settle(self) -> None:
        """Bring what was appended into a file for each series; more may be appended meanwhile.

        Raises
        ------
        StoreUnusable
            If the disk refuses; nothing acknowledged is lost, settle again later.
        """
        self._journal.close()
        try:
            with self.layout.sealing():
                self._settle()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

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
            If the disk refuses; then none is kept.
        """
        frames = rows(batch)
        for kind, frame in frames.items():
            broken = frame.select(TABLES[kind].violations().alias("broken"))["broken"]
            if broken.null_count() < frame.height:
                bad = broken.is_not_null().arg_max() or 0
                row = frame.row(bad, named=True)
                raise ValueError(f"{kind}: {broken[bad]} breaks its rule in {row}")
        try:
            self._journal.append(frames)
        except OSError as error:
            raise self._unusable(error) from error
        return sum(frame.height for frame in frames.values())

    def remember(self, items: Iterable[Instrument | Brackets]) -> None:
        """Keep contract sizes, and maintenance brackets from a date on, durably.

        Raises
        ------
        StoreUnusable
            If the disk refuses.
        """
        try:
            self.catalogue.remember(items)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def stage(self) -> Stage:
        """Return an empty stage for the rows of one source."""
        return Stage(self.layout)

    def seal(self) -> None:
        """Bring everything acknowledged into the sealed files; more may be appended meanwhile.

        Raises
        ------
        StoreUnusable
            If the disk refuses; nothing acknowledged is lost, seal again later.
        StoreDamaged
            If a sealed file that is to grow, or a staged one, is not what was written; nothing is
        lost either.
        """
        self._journal.close()
        try:
            with self.layout.sealing():
                self._settle()
                self._seal_staged()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _seal_staged(self) -> None:
        stages = dict(enumerate(accepted(self.layout.staged), start=1))
        pending: _Pending = defaultdict(list)
        for rank, (_, stage) in stages.items():
            for path in parts(stage):
                series = Series.of(path.parent.relative_to(stage).as_posix())
                month = path.name.split(".")[0]
                pending[series, month].append((rank, path))
        names = {rank: note.sha256 for rank, (note, _) in stages.items()}
        try:
            counts = self._seal_all(pending, names)
        except parquet.UNREADABLE as error:
            for path, why in (bad for stage in stages.values() for bad in damaged(*stage)):
                raise StoreDamaged(path, why) from error
            raise
        for rank, (note, stage) in stages.items():
            count = counts.get(rank, _Count())
            found = count.added + count.duplicates + count.revisions
            if found != note.rows:
                raise StoreDamaged(
                    stage, f"{found} of the {note.rows} rows of {note.path} were found; keep this"
                )
            if note.format != JOURNAL:
                self.catalogue.enter(replace(note, **asdict(count)))
            discard(stage)

    def _settle(self) -> None:
        """Stage finished segments, as many at once as are borne."""
        group: list[Path] = []
        size = 0
        for path in sorted(self.layout.journal.glob("*.journal")):
            if not is_finished(path):
                continue
            if size >= _GROUP:
                self._settle_all(group)
                group, size = [], 0
            group.append(path)
            size += path.stat().st_size
        if group:
            self._settle_all(group)

    def _settle_all(self, group: list[Path]) -> None:
        segments = [read_segment(path) for path in group]
        appended: dict[str, list[pl.DataFrame]] = defaultdict(list)
        for segment in segments:
            for kind, frame in segment.batches:
                appended[kind].append(frame)
        if appended:
            with self.stage() as stage:
                for kind, frames in appended.items():
                    stage.write(kind, pl.concat(frames))
                stage.accept(_appended(group, self._after_what_waits()))
        for path, segment in zip(group, segments, strict=True):
            if segment.damaged:
                path.rename(path.with_suffix(".damaged"))
            else:
                path.unlink()

    def _after_what_waits(self) -> datetime:
        """Return now or, where the clock was set back, a moment after what was staged before."""
        staged = [note.imported_at for note, _ in accepted(self.layout.staged)]
        after = [datetime.fromisoformat(at) + timedelta(microseconds=1) for at in staged]
        return max([datetime.now(tz=UTC), *after])

    def _seal_all(self, pending: _Pending, names: dict[int, str]) -> dict[int, _Count]:
        counts: dict[int, _Count] = {}
        for (series, month), inputs in sorted(pending.items()):
            merged = self._seal_one(series, month, inputs)
            for rank, added in merged.added.items():
                counts.setdefault(rank, _Count()).added += added
            for rank, known in merged.duplicates.items():
                counts.setdefault(rank, _Count()).duplicates += known
            if merged.revisions.height:
                ranks = merged.revisions[RANK].value_counts().iter_rows()
                for rank, revised in ranks:
                    counts.setdefault(rank, _Count()).revisions += revised
                self._revise(series, month, merged.revisions, names)
        return counts

    def _seal_one(self, series: Series, month: str, inputs: list[tuple[int, Path]]) -> merge.Merged:
        place = self.layout.sealed(series, month)
        place.parent.mkdir(parents=True, exist_ok=True)
        previous = self._checked(series, month)
        if not place.exists() and len(inputs) == 1 and _is_whole(inputs[0][1]):
            rank, aside = inputs[0][0], _linked(inputs[0][1], place.with_suffix(".new"))
            sealed = describe(self.layout, series, month, aside, previous)
            self._put(sealed, aside)
            return merge.Merged(rows=sealed.rows, added={rank: sealed.rows})
        if place.exists():
            inputs = [(0, place), *inputs]
        aside, revised = place.with_suffix(".new"), self.layout.revisions(series, month)
        known = parquet.read(revised, TABLES[series.kind]) if revised.exists() else None
        merged = _merge(series, inputs, aside, known)
        merged.added.pop(0, None)
        if merged.added:
            self._put(describe(self.layout, series, month, aside, previous), aside)
        else:
            aside.unlink()
        return merged

    def _checked(self, series: Series, month: str) -> str:
        """Return the checksum of a sealed file; a damaged one must not grow and look sound."""
        place, known = self.layout.sealed(series, month), self.catalogue.sealed(series, month)
        if not place.exists():
            return ""
        found = checksum(place)
        if known and found not in {known[0].sha256, known[0].previous}:
            raise StoreDamaged(
                place,
                "its bytes are not those that were sealed, so nothing can be added to it: restore "
                "it, or delete it and import its sources with --again",
            )
        return found

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
        place = self.layout.revisions(series, month)
        met = revisions.with_columns(
            pl.col(RANK).replace_strict(names, return_dtype=pl.String).alias("source"),
        ).drop(RANK)
        known = [parquet.read(place, TABLES[series.kind])] if place.exists() else []
        together = pl.concat([*known, met])
        aside = place.with_suffix(".new")
        writer = parquet.TableWriter(aside, parquet.scales(together))
        writer.write(together.sort("time", "known_at", maintain_order=True))
        writer.close()
        aside.replace(place)
        sync_folder(place.parent)

    def _unusable(self, error: Exception) -> StoreUnusable:
        why = getattr(error, "strerror", None) or error
        return StoreUnusable(
            self.layout.root,
            f"the disk refused ({why}); everything acknowledged before is safe, make room or mend "
            "the disk and run the command again",
        )


def _appended(group: list[Path], moment: datetime) -> Imported:
    """Return what is known of a stage of appended rows: they came in no file."""
    return Imported(
        key=uuid.uuid4().hex,
        sha256=JOURNAL,
        format=JOURNAL,
        path=group[0].name,
        importer="",
        imported_at=moment.isoformat(),
        verified=False,
        rows=0,
        rejected=0,
    )


def _linked(path: Path, to: Path) -> Path:
    """Give a file a second name; the first stays until its stage is done with."""
    to.unlink(missing_ok=True)
    try:
        to.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copyfile(path, to)
        parquet.sync(to)
    return to


def _is_whole(part: Path) -> bool:
    """Return whether a staged part can be sealed as it is: rows in order, each fact once."""
    return parquet.metadata(part).get("rising") == "1"


def _merge(
    series: Series,
    inputs: list[tuple[int, Path]],
    aside: Path,
    known: pl.DataFrame | None,
) -> merge.Merged:
    """Write the merge of all inputs; again, with other decimals, if some row needs them."""
    decimals = _decimals(TABLES[series.kind], inputs)
    while True:
        merged = merge.Merged(known=known)
        writer = parquet.TableWriter(aside, decimals)
        try:
            for frame in merge.combine(TABLES[series.kind], [*inputs], merged):
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


def _decimals(table: Table, inputs: list[tuple[int, Path]]) -> dict[str, int]:
    """Return what carries the numbers of all inputs; a column that none has needs no decimals."""
    found = {name: 0 for name, dtype in table.schema.items() if dtype.is_float()}
    for _, path in inputs:
        for name, scale in parquet.decimals(path).items():
            both = (found.get(name, scale), scale)
            found[name] = parquet.FLOAT if parquet.FLOAT in both else max(both)
    return found
